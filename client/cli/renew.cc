#include <absl/strings/str_cat.h>

#include <memory>

#include "client/cli/cli.h"
#include "client/cli/renewal.h"

namespace cli {
namespace {

struct Flags {
  ClusterFlags cluster;
  std::string namespace_name;
  std::string import;
  int timeout_seconds = 30;
};

int Run(const Flags& flags) {
  absl::StatusOr<Cluster> cluster = OpenOneCluster(flags.cluster);
  if (!cluster.ok()) return Fail(cluster.status());
  const k8s::ObjectKey key{flags.namespace_name.empty() ? cluster->access.namespace_name : flags.namespace_name,
                           flags.import};
  const absl::StatusOr<k8s::ServiceAccountImport> import =
      RequestRenewal(cluster->client(), key, absl::Seconds(flags.timeout_seconds));
  if (!import.ok()) return Fail(import.status());
  Done(absl::StrCat(k8s::ToString(key), ": token ", import->status.token_id, " until ", import->status.expires_at));
  return kExitOk;
}

}  // namespace

void AddRenew(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("renew", "replace an import's token now");
  auto flags = std::make_shared<Flags>();
  command->add_option("IMPORT", flags->import, "name of the ServiceAccountImport")->required();
  command->add_option("-n,--namespace", flags->namespace_name, "its namespace; default the context's");
  AddFlags(*command, flags->cluster, "target");
  command->add_option("--timeout", flags->timeout_seconds, "seconds to wait for the new token")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->footer("Example: kubemcsa renew cluster2-default-pod-lister -n default");
  command->callback([flags, &status] { status = Run(*flags); });
}

}  // namespace cli
