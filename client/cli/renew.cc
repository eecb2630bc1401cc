#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <memory>

#include "client/cli/cli.h"
#include "k8s/core/names.h"
#include "k8s/core/service_account_import.h"

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
  const std::string request = absl::FormatTime(absl::RFC3339_full, absl::Now(), absl::UTCTimeZone());
  const k8s::JsonObject patch{
      {"metadata", k8s::JsonObject{{"annotations", k8s::JsonObject{{k8s::kRenewRequestedKey, request}}}}}};
  if (absl::Status status = cluster->client().MergePatch(k8s::kImports, key, patch).status(); !status.ok())
    return Fail(status);
  k8s::ServiceAccountImport import;
  absl::Status seen;
  const bool renewed = WaitUntil(absl::Seconds(flags.timeout_seconds), [&] {
    const auto object = cluster->client().Get(k8s::kImports, key);
    seen = object.status();
    if (!object.ok()) return false;
    const auto parsed = k8s::ParseServiceAccountImport(*object);
    if (parsed.ok()) import = *parsed;
    return import.status.renew_requested_at == request;
  });
  if (renewed) {
    Done(absl::StrCat(k8s::ToString(key), ": token ", import.status.token_id, " until ", import.status.expires_at));
    return kExitOk;
  }
  if (!seen.ok()) return Fail(seen);
  const k8s::Condition* ready = k8s::FindCondition(import.status, "Ready");
  return Fail(absl::FailedPreconditionError(
      absl::StrCat(k8s::ToString(key), " was not renewed within ", flags.timeout_seconds,
                   " s: ", ready == nullptr ? "no broker has looked at it; does one run?" : ready->message)));
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
