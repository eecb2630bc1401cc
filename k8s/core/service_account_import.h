#ifndef K8S_CORE_SERVICE_ACCOUNT_IMPORT_H_
#define K8S_CORE_SERVICE_ACCOUNT_IMPORT_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "k8s/core/json.h"
#include "k8s/core/object.h"

namespace k8s {

// Whether the token lies in a Secret, or only in the broker's memory.
enum class Delivery { kSecret, kBroker };

struct ImportSpec {
  std::string cluster_name;            // the source, as it is registered
  std::string namespace_name;          // of the ServiceAccount there
  std::string name;                    // of the ServiceAccount there
  std::vector<std::string> audiences;  // empty: the source API server's own
  absl::Duration expiration = absl::Hours(1);
  Delivery delivery = Delivery::kSecret;

  friend bool operator==(const ImportSpec&, const ImportSpec&) = default;
};

// metav1.Condition.
struct Condition {
  std::string type;
  bool status = false;
  std::string reason;   // CamelCase
  std::string message;  // a sentence
  int64_t observed_generation = 0;
  absl::Time last_transition_time = absl::InfinitePast();

  friend bool operator==(const Condition&, const Condition&) = default;
};

struct ImportStatus {
  std::vector<std::string> secret_names;  // at most one
  std::vector<Condition> conditions;      // at most one of a type
  int64_t observed_generation = 0;
  std::string server;
  std::string expires_at;       // RFC 3339, the source's clock; "" without a token
  std::string next_renewal_at;  // RFC 3339, our clock
  std::string token_id;
  std::string account_uid;
  std::string cluster_name;        // the source that issued the token; "" without one
  std::string renew_requested_at;  // the value of the annotation that was last obeyed

  friend bool operator==(const ImportStatus&, const ImportStatus&) = default;
};

struct ServiceAccountImport {
  ObjectMeta meta;
  ImportSpec spec;
  ImportStatus status;
};

// INVALID_ARGUMENT names the field. The CRD's schema has checked all of it already, so an error here means that an
// object from before the schema is still stored.
absl::StatusOr<ServiceAccountImport> ParseServiceAccountImport(const Json& object);

// The condition of `type`, or nullptr.
const Condition* FindCondition(const ImportStatus& status, const std::string& type);

// Adds or replaces the condition of the same type. last_transition_time becomes `now` only when `status` changes.
void SetCondition(ImportStatus& status, Condition condition, absl::Time now);
void RemoveCondition(ImportStatus& status, const std::string& type);

// The import as an object for a server-side apply of its status.
Json BuildImportStatus(const ObjectMeta& meta, const ImportStatus& status);

// Whether `name` is a DNS-1123 subdomain (lower case, digits, '-', '.', 253 characters): only such a name may become
// part of a path or of another name.
bool IsDnsSubdomain(const std::string& name);

}  // namespace k8s

#endif  // K8S_CORE_SERVICE_ACCOUNT_IMPORT_H_
