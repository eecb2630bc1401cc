#ifndef K8S_CORE_CA_ROTATION_H_
#define K8S_CORE_CA_ROTATION_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "k8s/core/json.h"
#include "k8s/core/secret_string.h"

namespace k8s {

// One certificate authority of ours, and since when it plays its present part (CaState).
struct Ca {
  std::string certificate;  // PEM
  SecretString key;         // PKCS#8 PEM; empty once it no longer signs
  absl::Time not_after = absl::InfinitePast();
  absl::Time since = absl::InfinitePast();

  friend bool operator==(const Ca&, const Ca&) = default;
};

// The CAs behind one service's certificates. All of them are trusted (BundleOf); one of them signs.
struct CaState {
  std::optional<Ca> signing;        // since it signs
  std::optional<Ca> next;           // since it is in the bundle that others were given; will sign
  std::vector<Ca> previous;         // since it signs no more; trusted until its last leaf has ended, oldest first
  std::string rotate_requested_at;  // the value of the annotation that was last obeyed

  friend bool operator==(const CaState&, const CaState&) = default;
};

struct CaTiming {
  absl::Duration ca_lifetime = absl::Hours(24 * 30);  // a successor is made at half of it
  absl::Duration leaf_lifetime = absl::Hours(24);     // the longest that anything signed by such a CA lives
  // The longest that a verifier may go on with the bundle before the newest, and a signer with the CA before.
  absl::Duration propagation = absl::Seconds(30);
  // Rotations by request are not held up by leaves that could live a day: beyond this many, the oldest goes as soon as
  // every signer has had `propagation` to sign anew.
  size_t max_trusted = 8;
};

struct CaPlan {
  enum class Make { kNothing, kSigning, kNext };

  CaState state;  // what to store, but for a CA that is still to be made
  Make make = Make::kNothing;
  absl::Time check_at;  // when something is due next, if nothing else happens
};

// Returns the next step of a rotation: make a CA, have it trusted, then let it sign, and drop the old one after the end
// of the last leaf that it can have signed. At every instant each verifier trusts each leaf in use, however long we
// were away in between, because nothing signs that has not been in the published bundle for `propagation` before.
//
// `rotate_requested_at`: the annotation as it is; a new value starts one rotation. `published`: whether the verifiers'
// copy is BundleOf(stored); if not, a waiting `next` waits anew.
//
// The caller makes the CA that `make` says (AddCa), publishes BundleOf of the result, and only then stores it.
CaPlan PlanCaRotation(const CaState& stored, const std::string& rotate_requested_at, bool published,
                      const CaTiming& timing, absl::Time now);

// Puts the CA that the plan wants made in its place.
void AddCa(CaPlan& plan, Ca made, absl::Time now);

// All trusted certificates as one PEM text, the newest first.
std::string BundleOf(const CaState& state);

// The state as `data` of its Secret. Who signs reads kCaCertificateKey and kCaKeyKey, and nothing else.
inline constexpr char kCaCertificateKey[] = "ca.crt";
inline constexpr char kCaKeyKey[] = "ca.key";
std::map<std::string, SecretString> BuildCaSecretData(const CaState& state);

// An empty Secret is an empty state. INVALID_ARGUMENT, without any content, when it is not ours.
absl::StatusOr<CaState> ParseCaSecret(const Json& secret);

}  // namespace k8s

#endif  // K8S_CORE_CA_ROTATION_H_
