#include "broker/leaf_certificate.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "k8s/api/log.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/ca_rotation.h"

namespace broker {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(2);

}  // namespace

LeafCertificate::LeafCertificate(const k8s::Client& target, const k8s::Clock& clock, Options options)
    : clock_(clock),
      options_(std::move(options)),
      thread_([this] { Loop(); }),
      secret_(
          target, k8s::kSecrets, options_.ca_secret.namespace_name,
          {.field_selector = absl::StrCat("metadata.name=", options_.ca_secret.name)},
          [](const k8s::Json& object) -> absl::StatusOr<Signer> {
            auto data = k8s::ParseSecretData(object);
            return Signer{.certificate = std::string(data[k8s::kCaCertificateKey].Reveal()),
                          .key = std::move(data[k8s::kCaKeyKey])};
          },
          [this](const auto&, const auto&, const auto& after) {
            options_.on_ca();
            // While the Secret is gone or empty the certificate serves on: its CA is still trusted.
            if (after == nullptr || after->key.empty()) return;
            {
              std::lock_guard lock(mu_);
              if (signer_.certificate == after->certificate) return;
              signer_ = *after;
              is_new_ = true;
            }
            wake_.notify_all();
          },
          [](const absl::Status& status) {
            if (status.ok()) return;
            k8s::Log(k8s::LogLevel::kWarn, "cannot watch; will try again",
                     {{"what", "our CA"}, {"error", std::string(status.message())}});
          },
          [](const auto&, const absl::Status&) {}) {}

LeafCertificate::~LeafCertificate() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool LeafCertificate::WaitForFirst(absl::Duration timeout) {
  std::unique_lock lock(mu_);
  return wake_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [this] { return has_signed_; });
}

void LeafCertificate::Loop() {
  absl::Duration due = absl::InfiniteDuration();  // on the monotonic clock
  std::unique_lock lock(mu_);
  while (true) {
    const auto is_due = [&] { return stopping_ || is_new_ || clock_.Monotonic() >= due; };
    if (due == absl::InfiniteDuration()) {
      wake_.wait(lock, is_due);
    } else {
      wake_.wait_for(lock, absl::ToChronoNanoseconds(due - clock_.Monotonic()), is_due);
    }
    if (stopping_) return;
    if (!is_due()) continue;
    is_new_ = false;
    const Signer signer = signer_;
    lock.unlock();
    const absl::StatusOr<absl::Duration> next = Sign(signer);
    if (!next.ok()) {
      k8s::Log(k8s::LogLevel::kError, "cannot sign a certificate for the gRPC API; will try again",
               {{"error", std::string(next.status().message())}});
    }
    due = clock_.Monotonic() + next.value_or(kRetry);
    lock.lock();
    has_signed_ |= next.ok();
    wake_.notify_all();
  }
}

absl::StatusOr<absl::Duration> LeafCertificate::Sign(const Signer& signer) {
  const absl::Time now = clock_.Now();
  absl::StatusOr<k8s::CertificateAndKey> leaf =
      k8s::SignLeaf(signer.certificate, signer.key, options_.names, options_.lifetime, now);
  if (!leaf.ok()) return leaf.status();
  const absl::Duration life = leaf->not_after - now;
  if (life <= absl::ZeroDuration()) return absl::UnavailableError("the CA has ended; the leader makes a new one");
  options_.on_certificate(*leaf);
  return life / 2;
}

}  // namespace broker
