#include "client/cli/renewal.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include "client/cli/cli.h"
#include "k8s/core/names.h"

namespace cli {

absl::StatusOr<k8s::ServiceAccountImport> RequestRenewal(const k8s::Client& target, const k8s::ObjectKey& key,
                                                         absl::Duration timeout) {
  const std::string request = absl::FormatTime(absl::RFC3339_full, absl::Now(), absl::UTCTimeZone());
  const k8s::JsonObject patch{
      {"metadata", k8s::JsonObject{{"annotations", k8s::JsonObject{{k8s::kRenewRequestedKey, request}}}}}};
  if (absl::Status status = target.MergePatch(k8s::kImports, key, patch).status(); !status.ok()) return status;
  k8s::ServiceAccountImport import;
  absl::Status seen;
  const bool renewed = WaitUntil(timeout, [&] {
    const auto object = target.Get(k8s::kImports, key);
    seen = object.status();
    if (!object.ok()) return false;
    const auto parsed = k8s::ParseServiceAccountImport(*object);
    if (parsed.ok()) import = *parsed;
    return import.status.renew_requested_at == request;
  });
  if (renewed) return import;
  if (!seen.ok()) return seen;
  const k8s::Condition* ready = k8s::FindCondition(import.status, "Ready");
  return absl::FailedPreconditionError(
      absl::StrCat(k8s::ToString(key), " was not renewed within ", absl::ToInt64Seconds(timeout),
                   " s: ", ready == nullptr ? "no broker has looked at it; does one run?" : ready->message));
}

}  // namespace cli
