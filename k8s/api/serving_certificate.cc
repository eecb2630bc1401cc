#include "k8s/api/serving_certificate.h"

#include <absl/strings/str_cat.h>

#include <chrono>
#include <utility>

#include "k8s/core/build_secret.h"
#include "k8s/core/ca_rotation.h"

namespace k8s {
ServingCertificate::ServingCertificate(const Client& client, const Clock& clock, Options options,
                                       std::function<void(const CertificateAndKey&)> on_certificate,
                                       std::function<void(const absl::Status&)> on_problem)
    : clock_(clock),
      options_(std::move(options)),
      on_certificate_(std::move(on_certificate)),
      on_problem_(std::move(on_problem)),
      thread_([this] { Loop(); }),
      secret_(
          client, kSecrets, options_.secret.namespace_name,
          {.field_selector = absl::StrCat("metadata.name=", options_.secret.name)},
          [](const Json& object) -> absl::StatusOr<Signer> {
            std::map<std::string, SecretString> data = ParseSecretData(object);
            return Signer{.certificate = std::string(data[kCaCertificateKey].Reveal()), .key = data[kCaKeyKey]};
          },
          [this](const ObjectKey&, const auto&, const auto& after) {
            if (options_.on_secret) options_.on_secret();
            // While the Secret is gone or empty the certificate serves on: its CA is still trusted.
            if (after == nullptr || after->certificate.empty() || after->key.empty()) return;
            std::lock_guard lock(mu_);
            if (after->certificate == signer_.certificate && after->key == signer_.key) return;
            signer_ = *after;
            changed_ = true;
            wake_.notify_all();
          },
          {.on_state =
               [this](const absl::Status& status) {
                 if (!status.ok()) on_problem_(status);
               },
           .on_bad = [this](const ObjectKey&, const absl::Status& status) { on_problem_(status); }}) {}

ServingCertificate::~ServingCertificate() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

bool ServingCertificate::WaitForFirst(absl::Duration timeout) {
  std::unique_lock lock(mu_);
  return wake_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [this] { return has_signed_; });
}

void ServingCertificate::Loop() {
  absl::Time sign_at = absl::InfinitePast();
  std::unique_lock lock(mu_);
  while (!stopping_) {
    if (signer_.certificate.empty() || (!changed_ && clock_.Now() < sign_at)) {
      wake_.wait_for(lock, absl::ToChronoMilliseconds(options_.retry));
      continue;
    }
    changed_ = false;
    const Signer signer = signer_;
    lock.unlock();
    const absl::StatusOr<absl::Duration> next = Sign(signer);
    if (!next.ok()) on_problem_(next.status());
    sign_at = clock_.Now() + next.value_or(options_.retry);
    lock.lock();
    has_signed_ |= next.ok();
    wake_.notify_all();
  }
}

absl::StatusOr<absl::Duration> ServingCertificate::Sign(const Signer& signer) {
  const absl::Time now = clock_.Now();
  const absl::StatusOr<CertificateAndKey> leaf =
      SignLeaf(signer.certificate, signer.key, options_.names, options_.lifetime, now);
  if (!leaf.ok()) return leaf.status();
  const absl::Duration life = leaf->not_after - now;
  if (life <= absl::ZeroDuration()) return absl::UnavailableError("the CA has ended; the leader makes a new one");
  on_certificate_(*leaf);
  return life / 2;
}

}  // namespace k8s
