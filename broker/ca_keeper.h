#ifndef BROKER_CA_KEEPER_H_
#define BROKER_CA_KEEPER_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/core/ca_rotation.h"
#include "k8s/core/object.h"

namespace broker {

// Keeps the CA of one service of ours: makes it, rotates it, gives its bundle to those who verify, and stores it in a
// Secret for those who sign. The leader's work; on other replicas it does nothing. In a thread of its own.
class CaKeeper {
 public:
  struct Options {
    k8s::ObjectKey secret;
    std::string common_name;  // short: X.509 takes 64 characters, of which the serial number needs most
    k8s::CaTiming timing;
    // Makes every verifier's copy the bundle; returns whether they all were already.
    std::function<absl::StatusOr<bool>(const std::string& bundle)> publish;
    std::function<bool()> is_leader;  // asked before each write
  };

  // Borrows both references.
  CaKeeper(const k8s::Client& target, const k8s::Clock& clock, Options options);
  ~CaKeeper();

  CaKeeper(const CaKeeper&) = delete;
  CaKeeper& operator=(const CaKeeper&) = delete;

  // Something changed that it may have to do with: the Secret, a verifier's copy, who leads. Thread-safe.
  void Wake();

 private:
  void Loop();
  // Does what is due; returns when something will be next.
  absl::StatusOr<absl::Time> Step();
  absl::Status Store(const k8s::Json& stored, const k8s::CaState& state);

  const k8s::Client& target_;
  const k8s::Clock& clock_;
  const Options options_;
  std::mutex mu_;
  std::condition_variable wake_;
  bool woken_ = true;      // guarded by mu_
  bool stopping_ = false;  // guarded by mu_
  std::thread thread_;
};

}  // namespace broker

#endif  // BROKER_CA_KEEPER_H_
