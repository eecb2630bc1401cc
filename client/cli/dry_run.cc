#include "client/cli/dry_run.h"

#include <absl/strings/str_cat.h>

#include <iostream>

namespace cli {
namespace {

// An object without what the server counts up or notes down at each write.
k8s::Json WithoutBookkeeping(k8s::Json object) {
  if (k8s::Find(object, {"metadata"}) == nullptr) return object;
  k8s::JsonObject& metadata = object.as_object()["metadata"].as_object();
  for (const char* field : {"managedFields", "resourceVersion", "generation"}) metadata.erase(field);
  return object;
}

}  // namespace

absl::Status DryRun(const Cluster& cluster, const std::vector<k8s::Json>& objects) {
  for (const k8s::Json& object : objects) {
    const absl::StatusOr<k8s::Json> live = cluster.client().Get(ResourceOf(object), k8s::KeyOf(object));
    const bool is_new = absl::IsNotFound(live.status());
    if (!live.ok() && !is_new) return live.status();
    const absl::StatusOr<k8s::Json> applied = cluster.client().DryRunApply(ResourceOf(object), object, kManager);
    if (!applied.ok() && !(is_new && absl::IsNotFound(applied.status()))) {
      return absl::Status(applied.status().code(), absl::StrCat(cluster.name, ": cannot apply ", Describe(object), ": ",
                                                                std::string(applied.status().message())));
    }
    if (is_new) {
      PrintWould(cluster, "create", object);
    } else if (WithoutBookkeeping(*live) != WithoutBookkeeping(*applied)) {
      PrintWould(cluster, "change", object);
    }
  }
  return absl::OkStatus();
}

void PrintWould(const Cluster& cluster, const char* what, const k8s::Json& object) {
  std::cout << cluster.name << ": would " << what << " " << Describe(object) << "\n";
}

}  // namespace cli
