#include <absl/status/status.h>
#include <absl/time/clock.h>

#include <atomic>
#include <memory>
#include <string>

#include "k8s/api/cluster_connection.h"
#include "k8s/api/health_endpoints.h"
#include "k8s/api/http_server.h"
#include "k8s/api/informer.h"
#include "k8s/api/log.h"
#include "k8s/api/read_file.h"
#include "k8s/api/serving_certificate.h"
#include "k8s/api/stop_signal.h"
#include "k8s/core/version.h"
#include "webhook/admission_handler.h"
#include "webhook/metrics.h"
#include "webhook/options.h"
#include "webhook/readiness.h"

namespace {

using k8s::Log;
using k8s::LogLevel;
using k8s::ServerRequest;
using k8s::ServerResponse;

constexpr absl::Duration kSyncTimeout = absl::Minutes(2);
constexpr absl::Duration kSyncSlice = absl::Milliseconds(200);  // so that a stop is heard meanwhile

int Fail(const absl::Status& status) {
  Log(LogLevel::kError, "mcsa-webhook cannot start", {{"error", std::string(status.message())}});
  return 1;
}

absl::StatusOr<k8s::ClusterAccess> FindCluster(const webhook::Options& options, const k8s::Environment& environment) {
  if (options.kubeconfig.empty() && options.context.empty()) {
    absl::StatusOr<k8s::ClusterAccess> own = k8s::InClusterAccess(environment);
    if (own.ok()) return own;
  }
  const absl::StatusOr<k8s::Kubeconfig> kubeconfig = k8s::LoadKubeconfig(options.kubeconfig, environment);
  if (!kubeconfig.ok()) return kubeconfig.status();
  return k8s::SelectContext(*kubeconfig, options.context);
}

template <typename T>
std::unique_ptr<k8s::Informer<T>> Watch(const k8s::Client& client, const k8s::Resource& resource,
                                        k8s::ListOptions options, typename k8s::Informer<T>::Parse parse) {
  return std::make_unique<k8s::Informer<T>>(client, resource, "", options, std::move(parse),
                                            [](const auto&, const auto&, const auto&) {});
}

// What API servers call, and our own readiness check.
ServerResponse ServeApiServer(const webhook::AdmissionHandler& handler, bool need_client_certificate,
                              const ServerRequest& request) {
  if (request.path == "/healthz") return {.body = "ok\n"};
  if (request.path != "/mutate-pods") return {.status = 404, .body = "there is only /mutate-pods\n"};
  if (request.method != "POST") return {.status = 405, .body = "POST an AdmissionReview\n"};
  if (need_client_certificate && !request.verified_client) {
    return {.status = 403, .body = "only API servers may ask, by their client certificate\n"};
  }
  absl::StatusOr<std::string> answer = handler.Review(request.body);
  if (!answer.ok()) return {.status = 400, .body = std::string(answer.status().message()) + "\n"};
  return {.content_type = "application/json", .body = *std::move(answer)};
}

}  // namespace

int main(int argc, char** argv) {
  webhook::Options options;
  if (const std::optional<int> status = webhook::ParseOptions(argc, argv, options)) return *status;
  k8s::SetLogLevel(options.log_level);
  k8s::BlockStopSignals();
  const k8s::Environment environment = k8s::Environment::OfThisProcess();
  const absl::StatusOr<k8s::ClusterAccess> access = FindCluster(options, environment);
  if (!access.ok()) return Fail(access.status());
  const absl::StatusOr<k8s::ClusterConnection> target = k8s::Connect(*access, environment);
  if (!target.ok()) return Fail(target.status());
  std::string client_ca;
  if (!options.client_ca_file.empty()) {
    const absl::StatusOr<k8s::SecretString> read = k8s::ReadFile(options.client_ca_file);
    if (!read.ok()) return Fail(read.status());
    client_ca = std::string(read->Reveal());
  }

  webhook::Metrics metrics;
  const auto imports = Watch<webhook::Import>(*target->client, k8s::kImports, {}, &webhook::ParseImport);
  const auto namespaces = Watch<k8s::ObjectMeta>(
      *target->client, k8s::kNamespaces, {.metadata_only = true},
      [](const k8s::Json& object) -> absl::StatusOr<k8s::ObjectMeta> { return k8s::ParseObjectMeta(object); });
  const webhook::AdmissionHandler handler({.target = *target->client,
                                           .imports = imports->store(),
                                           .namespaces = namespaces->store(),
                                           .metrics = metrics,
                                           .clock = k8s::SystemClock(),
                                           .sidecar_image = options.sidecar_image});
  const auto server = k8s::HttpServer::Start(
      {.address = options.address, .tls = true, .client_ca = client_ca},
      [&](const ServerRequest& request) { return ServeApiServer(handler, !client_ca.empty(), request); });
  if (!server.ok()) return Fail(server.status());

  webhook::Readiness readiness(*target->client, options.configuration, (*server)->local_address(),
                               options.names.front());
  const k8s::ServingCertificate certificate(
      *target->client, k8s::SystemClock(), {.secret = options.ca_secret, .names = options.names},
      [&](const k8s::CertificateAndKey& leaf) {
        const absl::Status set = (*server)->SetCertificate(leaf);
        Log(set.ok() ? LogLevel::kInfo : LogLevel::kError, "has a new serving certificate",
            {{"notAfter", k8s::ToRfc3339(leaf.not_after)}, {"error", std::string(set.message())}});
        metrics.SetCertificateEnd(leaf.not_after);
        readiness.Poke();
      },
      [](const absl::Status& status) {
        Log(LogLevel::kWarn, "no serving certificate can be made now; will try again",
            {{"error", std::string(status.message())}});
      });

  std::atomic<bool> serving = false;
  absl::StatusOr<std::unique_ptr<k8s::HttpServer>> endpoints = std::unique_ptr<k8s::HttpServer>();
  if (!options.metrics_address.empty()) {
    endpoints = k8s::StartHealthEndpoints(
        options.metrics_address,
        [&] {
          const k8s::HttpServer::Stats stats = (*server)->stats();
          metrics.SetConnections(stats.connections, stats.evicted);
          return metrics.Render();
        },
        [&] { return serving ? readiness.Get() : absl::UnavailableError("starting or stopping"); });
    if (!endpoints.ok()) return Fail(endpoints.status());
  }
  Log(LogLevel::kInfo, "mcsa-webhook started",
      {{"version", k8s::kVersion},
       {"target", access->server},
       {"port", std::to_string((*server)->port())},
       {"metricsPort", *endpoints ? std::to_string((*endpoints)->port()) : ""}});
  const absl::Time sync_end = absl::Now() + kSyncTimeout;
  while (!(imports->WaitForSync(kSyncSlice) && namespaces->WaitForSync(kSyncSlice))) {
    if (k8s::IsStopSignalPending()) return 0;
    if (absl::Now() < sync_end) continue;
    return Fail(absl::UnavailableError("imports and namespaces could not be listed; the log says why"));
  }
  serving = true;

  k8s::AwaitStopSignal();
  // API servers hear with a delay that this endpoint goes: new connections are served on until then.
  serving = false;
  (*server)->Drain();
  Log(LogLevel::kInfo, "mcsa-webhook drains", {{"seconds", std::to_string(options.drain_seconds)}});
  absl::SleepFor(absl::Seconds(options.drain_seconds));
  Log(LogLevel::kInfo, "mcsa-webhook stops", {});
  return 0;
}
