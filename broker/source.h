#ifndef BROKER_SOURCE_H_
#define BROKER_SOURCE_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "broker/plan_import.h"
#include "broker/reachability.h"
#include "k8s/api/clock.h"
#include "k8s/api/cluster_connection.h"
#include "k8s/api/scoped_watch.h"
#include "k8s/core/bound_token.h"
#include "k8s/core/kubeconfig.h"

namespace broker {

// What a source tells others. Both run in threads of the source: hand over and return.
struct SourceHooks {
  std::function<void(const std::string& cluster, const k8s::ObjectKey& account)>
      on_account;                                            // made, made again or gone
  std::function<void(const std::string& cluster)> on_state;  // anything else: reachable, watched, registered
};

// One source cluster: the connection, whether it answers, and the accounts there. Thread-safe.
class Source {
 public:
  // Dials nothing yet. INVALID_ARGUMENT: the access is of no use.
  static absl::StatusOr<std::unique_ptr<Source>> Open(const std::string& cluster, const k8s::ClusterAccess& access,
                                                      const k8s::Environment& environment, const k8s::Clock& clock,
                                                      const SourceHooks& hooks);

  SourceView View() const;
  AccountView Account(const k8s::ObjectKey& account);

  absl::StatusOr<k8s::BoundToken> Mint(const k8s::ObjectKey& account, const std::vector<std::string>& audiences,
                                       absl::Duration lifetime);

  // Whether the source still accepts `token`: OK, UNAUTHENTICATED, or an error that says nothing about it.
  absl::Status Review(const k8s::SecretString& token);

  absl::Time ServerNow() const { return reachability_.ServerNow(); }

 private:
  Source(const std::string& cluster, std::string server, std::string ca_bundle, k8s::ClusterConnection connection,
         const k8s::Clock& clock, const SourceHooks& hooks);

  const std::string server_;
  const std::string ca_bundle_;
  const k8s::ClusterConnection connection_;
  Reachability reachability_;
  const k8s::Client client_;  // through reachability_
  k8s::ScopedWatch accounts_;
};

// The sources by name, changed while the broker runs. Thread-safe.
class SourceRegistry {
 public:
  SourceRegistry(k8s::Environment environment, const k8s::Clock& clock, SourceHooks hooks)
      : environment_(std::move(environment)), clock_(clock), hooks_(std::move(hooks)), reaper_([this] { Reap(); }) {}

  enum class Origin { kBootstrap, kContext };

  // Adds or replaces a source; an unchanged access changes nothing. An error stands for a source whose access is no
  // good.
  void Set(const std::string& cluster, const absl::StatusOr<k8s::ClusterAccess>& access,
           Origin origin = Origin::kBootstrap);
  void Remove(const std::string& cluster);
  // Ends all sources and waits for that. The last call but Find(), View(), Names() and the destructor.
  void Clear();
  ~SourceRegistry() { Clear(); }

  // The source, which whoever holds it last need not fear to let go of, even in a thread of that source: it ends in
  // another. Or NOT_FOUND (not registered), or why it is of no use.
  absl::StatusOr<std::shared_ptr<Source>> Find(const std::string& cluster) const;
  // What is known of it now, also of one that is not registered or of no use.
  SourceView View(const std::string& cluster) const;
  std::vector<std::string> Names() const;

 private:
  struct Entry {
    Origin origin = Origin::kBootstrap;
    std::string fingerprint;  // a hash of the access, to see that it is unchanged without keeping it
    absl::StatusOr<std::shared_ptr<Source>> source;
  };

  std::optional<Entry> EntryOf(const std::string& cluster) const;

  const k8s::Environment environment_;
  const k8s::Clock& clock_;
  const SourceHooks hooks_;
  std::shared_ptr<Source> Own(std::unique_ptr<Source> source);
  void Reap();

  mutable std::mutex mu_;
  std::condition_variable wake_;
  std::map<std::string, Entry> entries_;  // guarded by mu_
  // Ended in a thread of their own: a source that hangs must not hold up who lets go of it, which may be its own watch.
  std::vector<std::unique_ptr<Source>> ending_;  // guarded by mu_
  size_t living_ = 0;                            // sources that reaper_ has still to end; guarded by mu_
  bool stopping_ = false;                        // guarded by mu_
  std::thread reaper_;
};

// The access that a source's credential Secret stands for. It is refused (FAILED_PRECONDITION) if its kubeconfig holds
// what could make the broker run a program, read a file or trust anyone: exec, file paths, insecure TLS, a proxy.
absl::StatusOr<k8s::ClusterAccess> AccessFromSecretData(const std::map<std::string, k8s::SecretString>& data);

}  // namespace broker

#endif  // BROKER_SOURCE_H_
