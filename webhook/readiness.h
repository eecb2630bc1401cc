#ifndef WEBHOOK_READINESS_H_
#define WEBHOOK_READINESS_H_

#include <absl/status/status.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "k8s/api/client.h"
#include "k8s/api/informer.h"

namespace webhook {

// Whether an API server would reach us: makes an HTTPS request to our own port, under the name that API servers dial
// and trusting the caBundle that the stored webhook configuration has. Not through the Service, which has no endpoint
// before we are ready. Asks again when the configuration changes, after Poke(), and from time to time. Borrows
// `client`.
class Readiness {
 public:
  // `address`: our own, "127.0.0.1:8443".
  Readiness(const k8s::Client& client, const std::string& configuration, std::string address, std::string name);
  ~Readiness();

  // OK, or why an API server would not get through. Thread-safe.
  absl::Status Get() const;

  // The certificate has changed. Thread-safe.
  void Poke();

 private:
  void Loop();

  const std::string address_;
  const std::string name_;
  mutable std::mutex mu_;
  std::condition_variable wake_;
  std::string ca_bundle_;  // guarded by mu_, as all below
  bool changed_ = false;
  bool stopping_ = false;
  absl::Status status_ = absl::UnavailableError("not asked yet");
  std::thread thread_;
  k8s::Informer<std::string> configuration_;  // its caBundle. Last: its thread uses the above
};

}  // namespace webhook

#endif  // WEBHOOK_READINESS_H_
