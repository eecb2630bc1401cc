#include "webhook/import.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <openssl/sha.h>

#include "k8s/core/service_account_import.h"

namespace webhook {
namespace {

constexpr size_t kNameHashBytes = 5;

}  // namespace

std::string VolumeName(const std::string& import_name) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(import_name.data()), import_name.size(), digest);
  return absl::StrCat("mcsa-", absl::BytesToHexString({reinterpret_cast<const char*>(digest), kNameHashBytes}));
}

absl::StatusOr<Import> ParseImport(const k8s::Json& object) {
  const absl::StatusOr<k8s::ServiceAccountImport> parsed = k8s::ParseServiceAccountImport(object);
  if (!parsed.ok()) return parsed.status();
  Import import{.name = parsed->meta.name,
                .uid = parsed->meta.uid,
                .server = parsed->status.server,
                .in_secret = parsed->spec.delivery == k8s::Delivery::kSecret};
  const k8s::Condition* ready = k8s::FindCondition(parsed->status, "Ready");
  if (parsed->meta.being_deleted) {
    import.not_ready = "it is being deleted";
  } else if (ready == nullptr) {
    import.not_ready = "the broker has not looked at it yet";
  } else if (!ready->status) {
    import.not_ready = absl::StrCat(ready->reason, ": ", ready->message);
  }
  return import;
}

}  // namespace webhook
