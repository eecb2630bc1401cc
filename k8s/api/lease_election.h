#ifndef K8S_API_LEASE_ELECTION_H_
#define K8S_API_LEASE_ELECTION_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/core/lease.h"

namespace k8s {

// Elects one leader among replicas by a coordination.k8s.io Lease, in a thread of its own. Borrows all references.
class LeaseElection {
 public:
  // `on_change` runs in the election's thread after each change of leadership.
  LeaseElection(const Client& client, ObjectKey lease, std::string identity, LeaseTiming timing, const Clock& clock,
                std::function<void(bool leads)> on_change);

  // Gives the Lease back if it is held, so that another need not wait for its end.
  ~LeaseElection();

  LeaseElection(const LeaseElection&) = delete;
  LeaseElection& operator=(const LeaseElection&) = delete;

  // Whether this replica may act as leader at this very moment: ask before each write. Thread-safe.
  bool IsLeader() const;

  // How many terms of leadership have begun here: one more whenever it is won, also when it is won back. What was
  // planned in one term must not be written in the next. Thread-safe.
  int64_t leader_generation() const;

 private:
  void Loop();
  void Try();
  void Write(Json lease, bool exists, const std::string& holder);
  void Observe(const Json& lease);

  const Client& client_;
  const ObjectKey key_;
  const std::string identity_;
  const LeaseTiming timing_;
  const Clock& clock_;
  const std::function<void(bool)> on_change_;

  mutable std::mutex mu_;
  std::condition_variable wake_;
  LeaseView view_{.last_renewed = -absl::InfiniteDuration()};  // guarded by mu_
  int64_t generation_ = 0;                                     // guarded by mu_
  bool stopping_ = false;                                      // guarded by mu_
  std::string seen_version_;                                   // resourceVersion behind view_; only the thread uses it
  bool led_ = false;                                           // as above: what on_change_ was told last
  int64_t told_term_ = 0;                                      // as above
  std::thread thread_;
};

}  // namespace k8s

#endif  // K8S_API_LEASE_ELECTION_H_
