#include "broker/options.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_split.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "k8s/api/command_line.h"
#include "k8s/core/names.h"

namespace broker {
namespace {

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

}  // namespace

std::optional<int> ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app{
      "Keeps a Secret with a short-lived, renewed credential for each ServiceAccountImport.\n"
      "In a pod it uses the pod's own account. Elsewhere it uses a kubeconfig: --target-context is the cluster whose\n"
      "imports it serves, and every other context is a source of that name, if it is a DNS name.\n\n"
      "Example: mcsa-broker --target-context=cluster1 --metrics-address=127.0.0.1:8080\n",
      "mcsa-broker"};
  int64_t ca_propagation_seconds = absl::ToInt64Seconds(options.ca_propagation);
  int64_t lease_seconds = absl::ToInt64Seconds(options.lease.lease_duration);
  options.own_namespace = k8s::kBrokerNamespace;
  app.add_option("--kubeconfig", options.kubeconfig,
                 "kubeconfig file, or a colon list; default KUBECONFIG, then ~/.kube/config");
  app.add_option("--target-context", options.target_context,
                 "context whose imports are served; default the current one");
  app.add_option("--namespace", options.own_namespace, "the broker's own namespace, of its Lease and sources")
      ->capture_default_str();
  std::string source_imports;
  // Empty too: what a pod without the annotation has.
  app.add_option("--source-imports", source_imports,
                 "comma list of imports in --namespace that are sources even without the label: the predecessor's\n"
                 "annotation on the broker's own pod")
      ->expected(0, 1);
  app.add_option("--identity", options.identity, "name of this replica in the Lease; default host name and process id");
  app.add_option("--metrics-address", options.metrics_address,
                 "host:port of /metrics, /healthz and /readyz; default none");
  app.add_option("--grpc-address", options.grpc_address,
                 "host:port of the gRPC API for sidecars; default none, so that nothing is served");
  app.add_option("--ca-propagation", ca_propagation_seconds,
                 "seconds until a new CA, of the gRPC API or the webhook, has reached all; only then it signs")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  app.add_option("--lease-duration", lease_seconds,
                 "seconds after which another replica takes over from a silent leader")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  k8s::AddLogLevel(app, options.log_level);
  if (const std::optional<int> status = k8s::ParseCommandLine(app, argc, argv)) return status;
  options.ca_propagation = absl::Seconds(ca_propagation_seconds);
  // As client-go's defaults relate: 15 s, 10 s, 2 s.
  options.lease.lease_duration = absl::Seconds(lease_seconds);
  options.lease.renew_deadline = options.lease.lease_duration * 2 / 3;
  options.lease.retry_period = options.lease.lease_duration * 2 / 15;
  const std::vector<std::string> listed = absl::StrSplit(source_imports, ',');
  for (const std::string& name : listed) {
    if (const absl::string_view trimmed = absl::StripAsciiWhitespace(name); !trimmed.empty()) {
      options.source_imports.emplace(trimmed);
    }
  }
  if (options.identity.empty()) options.identity = HostName() + "_" + std::to_string(getpid());
  return std::nullopt;
}

}  // namespace broker
