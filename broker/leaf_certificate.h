#ifndef BROKER_LEAF_CERTIFICATE_H_
#define BROKER_LEAF_CERTIFICATE_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
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

namespace broker {

// This replica's own server certificate: signed with the CA that lies in a Secret, replaced at half its life and at
// once when another CA signs. The key never leaves the process. In a thread of its own; borrows its references.
class LeafCertificate {
 public:
  struct Options {
    k8s::ObjectKey ca_secret;
    std::vector<std::string> names;  // DNS names and IP addresses that clients dial
    absl::Duration lifetime;
    std::function<void(const k8s::CertificateAndKey&)> on_certificate;  // in its thread
    std::function<void()> on_ca;                                        // the Secret changed; in the watch's thread
  };

  LeafCertificate(const k8s::Client& target, const k8s::Clock& clock, Options options);
  ~LeafCertificate();

  LeafCertificate(const LeafCertificate&) = delete;
  LeafCertificate& operator=(const LeafCertificate&) = delete;

  // Whether there has been a certificate by then.
  bool WaitForFirst(absl::Duration timeout);

 private:
  // What a signer reads of the Secret.
  struct Signer {
    std::string certificate;
    k8s::SecretString key;
  };

  void Loop();
  absl::StatusOr<absl::Duration> Sign(const Signer& signer);  // returns when to sign again

  const k8s::Clock& clock_;
  const Options options_;
  std::mutex mu_;
  std::condition_variable wake_;
  Signer signer_;            // guarded by mu_
  bool is_new_ = false;      // guarded by mu_: signer_ has not been used
  bool has_signed_ = false;  // guarded by mu_
  bool stopping_ = false;    // guarded by mu_
  std::thread thread_;
  k8s::Informer<Signer> secret_;  // last: its thread uses the rest
};

}  // namespace broker

#endif  // BROKER_LEAF_CERTIFICATE_H_
