#include <absl/strings/str_cat.h>

#include <memory>
#include <optional>
#include <utility>

#include "client/cli/cli.h"
#include "client/cli/source_state.h"
#include "k8s/core/names.h"
#include "k8s/core/source_objects.h"

namespace cli {
namespace {

struct Flags {
  ClusterPairFlags clusters;
  bool source_only = false, target_only = false;
};

// What the source holds of the target. Rights go first and the fence last: at no instant has the identity rights
// without it.
absl::StatusOr<std::vector<k8s::Json>> FindSourceObjects(const k8s::Client& client, const std::string& target_name) {
  absl::StatusOr<std::vector<k8s::Json>> objects = FindGrants(client, target_name);
  if (!objects.ok()) return objects;
  std::vector<k8s::Json> named = k8s::BuildSourceIdentity(target_name);
  for (k8s::Json& object : k8s::BuildFence({.target_name = target_name})) named.push_back(std::move(object));
  for (k8s::Json& object : named) {
    if (k8s::StringAt(object, {"kind"}) == "Namespace") continue;  // other targets live there
    const absl::Status found = client.Get(ResourceOf(object), k8s::KeyOf(object), /*metadata_only=*/true).status();
    if (absl::IsNotFound(found)) continue;
    if (!found.ok()) return found;
    objects->push_back(std::move(object));
  }
  return objects;
}

// OK: how many objects there were.
absl::StatusOr<size_t> RemoveFromSource(const Cluster& source, const std::string& target_name) {
  absl::StatusOr<std::vector<k8s::Json>> objects = FindSourceObjects(source.client(), target_name);
  if (!objects.ok()) return objects.status();
  for (const k8s::Json& object : *objects) {
    if (absl::Status status = DeleteObject(source.client(), object); !status.ok()) return status;
    Done(absl::StrCat(source.name, ": deleted ", Describe(object)));
  }
  return objects->size();
}

absl::StatusOr<size_t> RemoveFromTarget(const Cluster& target, const std::string& source_name) {
  const k8s::ObjectKey import{k8s::kBrokerNamespace, source_name};
  const absl::Status found = target.client().Get(k8s::kImports, import, /*metadata_only=*/true).status();
  if (absl::IsNotFound(found)) return 0;
  if (!found.ok()) return found;
  // Its Secret goes with it, by owner reference.
  if (absl::Status status = target.client().Delete(k8s::kImports, import); !status.ok()) return status;
  Done(absl::StrCat(target.name, ": source cluster ", source_name, " is no longer registered"));
  return 1;
}

int Run(Flags flags) {
  if (absl::Status status = Resolve(flags.clusters); !status.ok()) return Fail(status);
  std::optional<Cluster> target, source;
  if (!flags.source_only) {
    absl::StatusOr<Cluster> opened = OpenCluster(flags.clusters.target, "target");
    if (!opened.ok()) return Fail(opened.status());
    target = *std::move(opened);
  }
  if (!flags.target_only) {
    absl::StatusOr<Cluster> opened = OpenCluster(flags.clusters.source, "source");
    if (!opened.ok()) {
      if (!flags.source_only) Note("if the source is gone for good, let the target forget it: --target-only");
      return Fail(opened.status());
    }
    source = *std::move(opened);
  }
  const absl::StatusOr<std::string> target_name =
      target.has_value() ? target->name : NameOf(flags.clusters.target, "target");
  if (!target_name.ok()) return Fail(target_name.status());
  const absl::StatusOr<std::string> source_name =
      source.has_value() ? source->name : NameOf(flags.clusters.source, "source");
  if (!source_name.ok()) return Fail(source_name.status());

  size_t deleted = 0;
  if (source.has_value()) {
    const absl::StatusOr<size_t> there = RemoveFromSource(*source, *target_name);
    if (!there.ok()) return Fail(there.status());
    if (*there == 0) Note(absl::StrCat(*source_name, " knows no target ", *target_name));
    deleted += *there;
  }
  if (target.has_value()) {
    const absl::StatusOr<size_t> there = RemoveFromTarget(*target, *source_name);
    if (!there.ok()) return Fail(there.status());
    if (*there == 0) Note(absl::StrCat(*target_name, " knows no source ", *source_name));
    deleted += *there;
  }
  if (deleted == 0) return Fail(absl::NotFoundError("nothing was deleted; are these the right names?"));
  if (!source.has_value())
    Note(absl::StrCat("if ", *source_name,
                      " is there still, its admin has to take its grants back: "
                      "kubemcsa unbootstrap --source-only"));
  return kExitOk;
}

}  // namespace

void AddUnbootstrap(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("unbootstrap", "undo bootstrap in both clusters");
  auto flags = std::make_shared<Flags>();
  AddFlags(*command, flags->clusters);
  CLI::Option* source_only =
      command->add_flag("--source-only", flags->source_only, "take the grants back, without access to the target");
  command->add_flag("--target-only", flags->target_only, "forget the source, which may be gone")->excludes(source_only);
  command->footer("Example: kubemcsa unbootstrap cluster1 cluster2");
  command->callback([flags, &status] { status = Run(*flags); });
}

}  // namespace cli
