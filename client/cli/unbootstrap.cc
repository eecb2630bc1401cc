#include <absl/strings/str_cat.h>

#include <memory>
#include <utility>

#include "client/cli/cli.h"
#include "client/cli/source_state.h"
#include "k8s/core/names.h"
#include "k8s/core/source_objects.h"

namespace cli {
namespace {

// Rights go first and the fence last: at no instant has the identity rights without it.
absl::Status RemoveFromSource(const k8s::Client& client, const std::string& target_name) {
  absl::StatusOr<std::vector<k8s::Json>> objects = FindGrants(client, target_name);
  if (!objects.ok()) return objects.status();
  for (k8s::Json& object : k8s::BuildSourceIdentity(target_name)) {
    if (k8s::StringAt(object, {"kind"}) != "Namespace")
      objects->push_back(std::move(object));  // other targets live there
  }
  for (k8s::Json& object : k8s::BuildFence({.target_name = target_name})) objects->push_back(std::move(object));
  for (const k8s::Json& object : *objects) {
    if (absl::Status status = DeleteObject(client, object); !status.ok()) return status;
  }
  return absl::OkStatus();
}

int Run(ClusterPairFlags flags) {
  if (absl::Status status = Resolve(flags); !status.ok()) return Fail(status);
  absl::StatusOr<Cluster> target = OpenCluster(flags.target, "target");
  if (!target.ok()) return Fail(target.status());
  absl::StatusOr<Cluster> source = OpenCluster(flags.source, "source");
  if (!source.ok()) return Fail(source.status());
  if (absl::Status status = RemoveFromSource(source->client(), target->name); !status.ok()) return Fail(status);
  Done(absl::StrCat(source->name, ": the identity of ", target->name, ", its rights and its fence are gone"));
  // Its Secret goes with it, by owner reference.
  if (absl::Status status = target->client().Delete(k8s::kImports, {k8s::kBrokerNamespace, source->name}); !status.ok())
    return Fail(status);
  Done(absl::StrCat(target->name, ": source cluster ", source->name, " is no longer registered"));
  return kExitOk;
}

}  // namespace

void AddUnbootstrap(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("unbootstrap", "undo bootstrap in both clusters");
  auto flags = std::make_shared<ClusterPairFlags>();
  AddFlags(*command, *flags);
  command->footer("Example: kubemcsa unbootstrap cluster1 cluster2");
  command->callback([flags, &status] { status = Run(*flags); });
}

}  // namespace cli
