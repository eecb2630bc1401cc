#include <absl/status/status.h>

#include <memory>
#include <string>
#include <thread>

#include "broker/broker.h"
#include "broker/metrics.h"
#include "broker/options.h"
#include "k8s/api/cluster_connection.h"
#include "k8s/api/health_endpoints.h"
#include "k8s/api/lock_checks.h"
#include "k8s/api/log.h"
#include "k8s/api/stop_signal.h"
#include "k8s/core/service_account_import.h"
#include "k8s/core/version.h"

namespace {

using k8s::Log;
using k8s::LogLevel;

int Fail(const absl::Status& status) {
  Log(LogLevel::kError, "mcsa-broker cannot start", {{"error", std::string(status.message())}});
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  k8s::SkipLockOrderChecks();
  broker::Options options;
  if (const std::optional<int> status = broker::ParseOptions(argc, argv, options)) return *status;
  k8s::SetLogLevel(options.log_level);
  k8s::BlockStopSignals();
  const k8s::Environment environment = k8s::Environment::OfThisProcess();

  // A kubeconfig that was asked for wins; without one, a pod uses its own account.
  k8s::Kubeconfig kubeconfig;
  absl::StatusOr<k8s::ClusterAccess> access = absl::FailedPreconditionError("");
  const bool asked = !options.kubeconfig.empty() || !options.target_context.empty();
  if (!asked) access = k8s::InClusterAccess(environment);
  if (!access.ok()) {
    absl::StatusOr<k8s::Kubeconfig> loaded = k8s::LoadKubeconfig(options.kubeconfig, environment);
    if (!loaded.ok()) return Fail(loaded.status());
    kubeconfig = *std::move(loaded);
    access = k8s::SelectContext(kubeconfig, options.target_context);
  }
  if (!access.ok()) return Fail(access.status());
  absl::StatusOr<k8s::ClusterConnection> target = k8s::Connect(*access, environment);
  if (!target.ok()) return Fail(target.status());

  broker::Metrics metrics;
  broker::Broker broker(*target->client, options, environment, metrics);
  const std::string target_context =
      options.target_context.empty() ? kubeconfig.current_context : options.target_context;
  const auto add_source = [&](const std::string& name, const absl::StatusOr<k8s::ClusterAccess>& access) {
    if (name == target_context) return;
    if (k8s::IsDnsSubdomain(name)) {
      broker.AddContext(name, access);
    } else {
      Log(LogLevel::kWarn, "a context is no source because its name is no DNS-1123 subdomain", {{"context", name}});
    }
  };
  for (const auto& [name, context] : kubeconfig.contexts) add_source(name, context);
  for (const auto& [name, error] : kubeconfig.broken_contexts) add_source(name, absl::InvalidArgumentError(error));
  std::unique_ptr<k8s::HttpServer> endpoints;
  if (!options.metrics_address.empty()) {
    auto started = k8s::StartHealthEndpoints(
        options.metrics_address,
        [&] {
          broker.UpdateMetrics();
          return metrics.Render();
        },
        [&] { return broker.IsReady() ? absl::OkStatus() : absl::UnavailableError("starting"); });
    if (!started.ok()) return Fail(started.status());
    endpoints = *std::move(started);
  }
  Log(LogLevel::kInfo, "mcsa-broker started",
      {{"version", k8s::kVersion},
       {"target", access->server},
       {"identity", options.identity},
       {"metricsPort", endpoints ? std::to_string(endpoints->port()) : ""}});

  std::thread stopper([&] {
    k8s::AwaitStopSignal();
    broker.Stop();
  });
  const absl::Status status = broker.Run();
  if (!status.ok()) {
    stopper.detach();
    return Fail(status);
  }
  stopper.join();
  Log(LogLevel::kInfo, "mcsa-broker stops", {});
  return 0;
}
