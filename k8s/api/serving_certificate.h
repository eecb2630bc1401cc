#ifndef K8S_API_SERVING_CERTIFICATE_H_
#define K8S_API_SERVING_CERTIFICATE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "k8s/api/certificate_authority.h"
#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/api/informer.h"
#include "k8s/core/secret_string.h"

namespace k8s {

// A replica's own server certificate, made in memory: signed with the CA that a Secret holds (k8s/core/ca_rotation.h),
// again when the CA changes, and at half of its life. Its key never leaves the process.
//
// Follows the Secret in a thread of its own. Borrows `client` and `clock`.
class ServingCertificate {
 public:
  struct Options {
    ObjectKey secret;
    std::vector<std::string> names;  // DNS names and IP addresses that clients dial
    absl::Duration lifetime = absl::Hours(24);
    // How soon to try again when signing failed, and how often to look at the clock: it may have been set.
    absl::Duration retry = absl::Seconds(10);
    std::function<void()> on_secret;  // the Secret came, changed or went; in the watch's thread; may be empty
  };
  // `on_certificate` gets each new one; `on_problem` hears why there is none to be had now. Both run in our threads,
  // one at a time.
  ServingCertificate(const Client& client, const Clock& clock, Options options,
                     std::function<void(const CertificateAndKey&)> on_certificate,
                     std::function<void(const absl::Status&)> on_problem);
  ~ServingCertificate();

  ServingCertificate(const ServingCertificate&) = delete;
  ServingCertificate& operator=(const ServingCertificate&) = delete;

  // Whether `on_certificate` has had a first one by then.
  bool WaitForFirst(absl::Duration timeout);

 private:
  struct Signer {
    std::string certificate;
    SecretString key;
  };
  void Loop();
  absl::StatusOr<absl::Duration> Sign(const Signer& signer);  // returns when to sign again

  const Clock& clock_;
  const Options options_;
  const std::function<void(const CertificateAndKey&)> on_certificate_;
  const std::function<void(const absl::Status&)> on_problem_;

  std::mutex mu_;
  std::condition_variable wake_;
  Signer signer_;            // guarded by mu_; empty before there is one
  bool changed_ = false;     // guarded by mu_
  bool has_signed_ = false;  // guarded by mu_
  bool stopping_ = false;    // guarded by mu_
  std::thread thread_;
  Informer<Signer> secret_;  // last: its thread uses the above
};

}  // namespace k8s

#endif  // K8S_API_SERVING_CERTIFICATE_H_
