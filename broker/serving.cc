#include "broker/serving.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <string_view>
#include <utility>
#include <vector>

#include "broker/stream_capacity.h"
#include "k8s/api/log.h"
#include "k8s/core/names.h"

namespace broker {
namespace {

constexpr absl::Duration kStartTimeout = absl::Minutes(2);
constexpr absl::Duration kStartSlice = absl::Milliseconds(200);

// As clients dial it: the headless Service, and the host of the address, where that names one.
std::vector<std::string> NamesOf(const Options& options) {
  const std::string service = absl::StrCat(k8s::kBrokerName, ".", options.own_namespace, ".svc");
  std::vector<std::string> names{service, absl::StrCat(service, ".cluster.local")};
  std::string_view host = options.grpc_address;
  host = host.substr(0, host.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (!host.empty() && host != "0.0.0.0" && host != "::") names.emplace_back(host);
  return names;
}

k8s::ObjectKey CaSecretOf(const Options& options) {
  return {options.own_namespace, k8s::kBrokerCaSecret};
}

}  // namespace

Serving::Serving(const Options& options, const ConfigRefresherDeps& deps, std::function<bool()> is_leader,
                 Metrics& metrics)
    : options_(options),
      metrics_(metrics),
      credentials_(std::make_shared<RotatingTlsCredentials>()),
      refresher_(deps),
      pods_(
          deps.target, k8s::kPods, "", {.label_selector = absl::StrCat(k8s::kInjectedLabel, "=true")},
          [](const k8s::Json& object) -> absl::StatusOr<InjectedPod> { return ParseInjectedPod(object); },
          [this](const auto&, const auto& before, const auto& after) { OnPod(before, after); }),
      authenticator_(deps.target, pods_.store()),
      service_(refresher_.store(), authenticator_, deps.clock, metrics, StreamCapacity(MemoryLimit())),
      config_maps_(deps.target, deps.imports, [this] { WakeCaKeeper(); }),
      ca_keeper_(deps.target, deps.clock,
                 {.secret = CaSecretOf(options),
                  .common_name = "mcsa-grpc-ca",
                  .timing = {.propagation = options.ca_propagation},
                  .publish = [this](const std::string& bundle) { return config_maps_.Publish(bundle); },
                  .is_leader = std::move(is_leader)}),
      certificate_(
          deps.target, deps.clock,
          {.secret = CaSecretOf(options),
           .names = NamesOf(options),
           .lifetime = k8s::CaTiming().leaf_lifetime,
           .on_secret = [this] { ca_keeper_.Wake(); }},
          [this](const k8s::CertificateAndKey& leaf) {
            credentials_->SetCertificate(leaf.certificate, leaf.key);
            metrics_.SetGrpcCertificateEnd(leaf.not_after);
          },
          [](const absl::Status& status) {
            k8s::Log(k8s::LogLevel::kWarn, "no certificate for the gRPC API can be made now; will try again",
                     {{"error", std::string(status.message())}});
          }),
      trimmer_([this] { return service_.streams(); }) {
  std::lock_guard lock(mu_);
  told_of_pods_ = &service_;
  told_of_cas_ = &ca_keeper_;
}

Serving::~Serving() {
  server_.reset();
  std::lock_guard lock(mu_);
  told_of_pods_ = nullptr;
  told_of_cas_ = nullptr;
}

absl::Status Serving::Start(const std::atomic<bool>& stopping) {
  const absl::Time end = absl::Now() + kStartTimeout;
  while (!stopping && !(pods_.WaitForSync(kStartSlice) && certificate_.WaitForFirst(kStartSlice))) {
    if (absl::Now() < end) continue;
    return absl::UnavailableError(
        "the gRPC API is not ready: pods could not be listed, or the leader made no CA; the logs say why");
  }
  if (stopping) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<GrpcServer>> server = GrpcServer::Start(options_.grpc_address, service_, credentials_);
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  k8s::Log(k8s::LogLevel::kInfo, "serving the gRPC API", {{"port", std::to_string(server_->port())}});
  return absl::OkStatus();
}

void Serving::WakeCaKeeper() {
  std::lock_guard lock(mu_);
  if (told_of_cas_ != nullptr) told_of_cas_->Wake();
}

void Serving::OnPod(const k8s::InformerStore<InjectedPod>::Pointer& before,
                    const k8s::InformerStore<InjectedPod>::Pointer& after) {
  if (before == nullptr || (after != nullptr && after->uid == before->uid)) return;
  std::lock_guard lock(mu_);
  if (told_of_pods_ != nullptr) told_of_pods_->EndStreamsOf(before->uid);
}

}  // namespace broker
