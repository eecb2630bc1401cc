#ifndef WEBHOOK_IMPORT_H_
#define WEBHOOK_IMPORT_H_

#include <absl/status/statusor.h>

#include <string>

#include "k8s/core/json.h"

namespace webhook {

// What the webhook knows of a ServiceAccountImport: little enough to keep all of a cluster's in memory.
struct Import {
  std::string name;
  std::string uid;
  std::string server;     // of the source: "https://host:port/path"; empty before the first token
  bool in_secret = true;  // and not only in the broker's memory
  std::string not_ready;  // why its credential cannot be used yet, a sentence; empty: it can
};

// INVALID_ARGUMENT names the field that is malformed.
absl::StatusOr<Import> ParseImport(const k8s::Json& object);

// The volume of an import's Secret: "mcsa-<10 hex digits of the name's SHA-256>". Import names may have dots and 253
// characters, volume names may not.
std::string VolumeName(const std::string& import_name);

}  // namespace webhook

#endif  // WEBHOOK_IMPORT_H_
