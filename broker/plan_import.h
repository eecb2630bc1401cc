#ifndef BROKER_PLAN_IMPORT_H_
#define BROKER_PLAN_IMPORT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "k8s/core/bound_token.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/import_policy.h"
#include "k8s/core/service_account_import.h"

// PURE: every decision about one import. The Reconciler gathers an Observed, asks here, and does what the Plan says.
namespace broker {

// The source that an import names, as this replica knows it.
struct SourceView {
  enum class State {
    kUnknown,       // nobody registered a cluster of that name
    kUnusable,      // registered, but its credential is missing, malformed or refused
    kNoCredential,  // a context of the broker's kubeconfig, whose exec plugin or token file gives none for now
    kUnreachable,   // its API server does not answer
    kReady,
  };
  State state = State::kUnknown;
  bool is_context = false;                                 // of the broker's kubeconfig: nobody bootstrapped it
  std::string error;                                       // why it is not kReady
  bool has_answered = false;                               // since this replica connected to it
  absl::Duration out_of_reach_for = absl::ZeroDuration();  // of kUnreachable: for how long by now
  std::string server;
  std::string ca_bundle;
};

// The remote ServiceAccount as the watch on its cluster shows it.
struct AccountView {
  enum class State { kNotWatched, kAbsent, kPresent };
  State state = State::kNotWatched;
  std::string uid;  // of kPresent
};

// The Secret that lies under the import's Secret name.
struct HeldSecret {
  k8s::ObjectMeta meta;
  std::map<std::string, k8s::SecretString> data;
  bool immutable = false;
};

struct Observed {
  k8s::ServiceAccountImport import;
  bool on_demand = false;             // delivery Broker: `secret` is what this replica holds for its subscribers
  bool is_source_credential = false;  // the broker's own credential for a source: needs no policy, lives 30 days
  std::string older_source;           // of such a one: the older one that registers the same cluster
  k8s::PolicyDecision policy;
  SourceView source;
  AccountView account;
  absl::Status secret_access;  // PERMISSION_DENIED: the namespace is not served
  std::optional<HeldSecret> secret;
  std::optional<k8s::BoundToken> token;  // the one in `secret`, if it is well-formed
  absl::Duration token_age = absl::ZeroDuration();
  bool refused = false;  // its source does not accept the token
  absl::Time now;        // the wall clock, for conditions and times that people read
};

struct Event {
  bool warning = false;
  std::string reason;
  std::string note;
};

struct Plan {
  enum class Action {
    kNone,
    kMint,     // request a token of `lifetime`, then PlanAfterMint
    kRewrite,  // write `secret_data`: a new token, or the same in a healed or re-addressed Secret
    kRevoke,   // remove the keys that hold a credential
  };
  Action action = Action::kNone;
  absl::Duration lifetime = absl::ZeroDuration();
  std::map<std::string, k8s::SecretString> secret_data;
  k8s::ImportStatus status;
  std::vector<Event> events;
  // When to look again; ZeroDuration: only when something changes.
  absl::Duration requeue_after = absl::ZeroDuration();
  bool back_off = false;  // a try failed: the workqueue decides when
};

// Decides from what was seen. With kMint, `status` and `events` are not yet meant to be written.
Plan PlanImport(const Observed& observed);

// Decides after the TokenRequest of a kMint, which may have shown what is wrong with `observed.source`. With a token,
// the action is kRewrite.
Plan PlanAfterMint(const Observed& observed, const absl::StatusOr<k8s::BoundToken>& minted);

// Whether a reason of the condition Ready means that somebody decided against the import; all others pass by
// themselves.
bool IsDecidedAgainst(const std::string& reason);

// The error of reading the Secret, told in the status.
Plan PlanAfterSecretError(const Observed& observed, const absl::Status& error);

// That of writing it, which was to do `action`. What the API server refuses is told in the status with its own words;
// another error changes nothing there. The plan's own action is kNone.
Plan PlanAfterWriteError(const Observed& observed, Plan::Action action, const absl::Status& error);

}  // namespace broker

#endif  // BROKER_PLAN_IMPORT_H_
