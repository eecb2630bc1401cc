#include "webhook/readiness.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <chrono>
#include <utility>

#include "k8s/api/credential_source.h"
#include "k8s/api/httplib_transport.h"
#include "k8s/api/log.h"
#include "k8s/api/tls_context.h"

namespace webhook {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);
constexpr auto kInterval = std::chrono::seconds(10);
constexpr auto kRetry = std::chrono::milliseconds(500);

absl::StatusOr<std::string> ParseCaBundle(const k8s::Json& configuration) {
  std::string bundle;
  for (const k8s::Json& webhook : k8s::ArrayAt(configuration, {"webhooks"})) {
    absl::Base64Unescape(k8s::StringAt(webhook, {"clientConfig", "caBundle"}), &bundle);
  }
  return bundle;
}

absl::Status Check(const std::string& address, const std::string& name, const std::string& ca_bundle) {
  if (ca_bundle.empty()) {
    return absl::FailedPreconditionError(
        "the webhook configuration has no caBundle yet; the broker's leader fills it in");
  }
  absl::StatusOr<k8s::TlsContext> tls = k8s::BuildTlsContext(ca_bundle, "", k8s::SecretString());
  if (!tls.ok()) return absl::InvalidArgumentError(absl::StrCat("caBundle: ", std::string(tls.status().message())));
  auto transport =
      k8s::HttplibTransport::Create({.server = "https://" + address, .tls_server_name = name, .tls = *std::move(tls)},
                                    k8s::StaticCredential(k8s::SecretString()));
  if (!transport.ok()) return transport.status();
  const absl::StatusOr<k8s::HttpResponse> response =
      (*transport)->Send({.method = "GET", .path = "/healthz", .timeout = kTimeout});
  if (!response.ok()) return response.status();
  if (response->status == 200) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("our own server answers ", response->status));
}

}  // namespace

Readiness::Readiness(const k8s::Client& client, const std::string& configuration, std::string address, std::string name)
    : address_(std::move(address)),
      name_(std::move(name)),
      thread_([this] { Loop(); }),
      configuration_(client, k8s::kMutatingWebhookConfigurations, "",
                     {.field_selector = absl::StrCat("metadata.name=", configuration)}, &ParseCaBundle,
                     [this](const k8s::ObjectKey&, const auto&, const auto& after) {
                       std::lock_guard lock(mu_);
                       ca_bundle_ = after == nullptr ? "" : *after;
                       changed_ = true;
                       wake_.notify_all();
                     }) {}

Readiness::~Readiness() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

absl::Status Readiness::Get() const {
  std::lock_guard lock(mu_);
  return status_;
}

void Readiness::Poke() {
  std::lock_guard lock(mu_);
  changed_ = true;
  wake_.notify_all();
}

void Readiness::Loop() {
  std::unique_lock lock(mu_);
  while (!stopping_) {
    changed_ = false;
    const std::string ca_bundle = ca_bundle_;
    lock.unlock();
    const absl::Status status = Check(address_, name_, ca_bundle);
    lock.lock();
    if (status.ok() != status_.ok()) {
      k8s::Log(k8s::LogLevel::kInfo,
               status.ok() ? "API servers can reach this webhook" : "API servers cannot reach this webhook",
               {{"reason", std::string(status.message())}});
    }
    status_ = status;
    wake_.wait_for(lock, status.ok() ? std::chrono::milliseconds(kInterval) : kRetry,
                   [this] { return changed_ || stopping_; });
  }
}

}  // namespace webhook
