#include "k8s/core/source_trust.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "k8s/core/service_account_import.h"

namespace k8s {
namespace {

void Insert(std::vector<AccountScope>& scopes, const AccountScope& scope) {
  if (std::find(scopes.begin(), scopes.end(), scope) == scopes.end()) scopes.push_back(scope);
}

absl::StatusOr<std::vector<AccountScope>> ParseScopes(const Json& json, const char* key) {
  std::vector<AccountScope> scopes;
  for (const std::string& text : StringsAt(json, {key})) {
    absl::StatusOr<AccountScope> scope = ParseAccountScope(text);
    if (!scope.ok()) return scope.status();
    scopes.push_back(*std::move(scope));
  }
  return scopes;
}

}  // namespace

absl::StatusOr<AccountScope> ParseAccountScope(const std::string& text) {
  const size_t slash = text.find('/');
  AccountScope scope{.namespace_name = text.substr(0, slash),
                     .name = slash == std::string::npos ? "" : text.substr(slash + 1)};
  const bool well_formed =
      IsDnsSubdomain(scope.namespace_name) && (slash == std::string::npos || IsDnsSubdomain(scope.name));
  if (!well_formed)
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is neither NAMESPACE nor NAMESPACE/NAME"));
  return scope;
}

std::string ToString(const AccountScope& scope) {
  return scope.name.empty() ? scope.namespace_name : absl::StrCat(scope.namespace_name, "/", scope.name);
}

std::vector<std::string> ToStrings(const std::vector<AccountScope>& scopes) {
  std::vector<std::string> strings;
  for (const AccountScope& scope : scopes) strings.push_back(ToString(scope));
  return strings;
}

SourceTrust Change(SourceTrust before, const TrustChange& change) {
  if (change.only.has_value()) before.only = *change.only;
  if (change.audiences.has_value()) before.audiences = *change.audiences;
  return before;
}

void Allow(SourceTrust& trust, const AccountScope& account) {
  std::erase(trust.denied, account);
  if (!trust.only.empty()) Insert(trust.only, account);
}

void AllowPowerful(SourceTrust& trust, const AccountScope& account) {
  Allow(trust, account);
  Insert(trust.powerful, account);
}

absl::Status Deny(SourceTrust& trust, const AccountScope& account, Fencing fencing) {
  std::vector<AccountScope> rest = trust.only;
  std::erase(rest, account);
  if (fencing == Fencing::kNone) {
    const AccountScope whole{.namespace_name = account.namespace_name};
    if (std::find(rest.begin(), rest.end(), whole) != rest.end()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the source has no ValidatingAdmissionPolicies, and ", trust.target_name, " was granted ", ToString(whole),
          " as a whole; name the accounts that it may take: kubemcsa bootstrap --only=..."));
    }
    if (rest.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(ToString(account), " is all that ", trust.target_name,
                                                        " was granted; take it back with kubemcsa unbootstrap"));
    }
  }
  std::erase(trust.powerful, account);
  // The last entry stays: an empty list would mean every account. The fence refuses it all the same.
  if (!rest.empty()) trust.only = std::move(rest);
  Insert(trust.denied, account);
  return absl::OkStatus();
}

std::string SerializeTrust(const SourceTrust& trust) {
  return boost::json::serialize(JsonObject{{"target", trust.target_name},
                                           {"only", ToJsonArray(ToStrings(trust.only))},
                                           {"powerful", ToJsonArray(ToStrings(trust.powerful))},
                                           {"denied", ToJsonArray(ToStrings(trust.denied))},
                                           {"audiences", ToJsonArray(trust.audiences)}});
}

absl::StatusOr<SourceTrust> ParseTrust(const Json& object) {
  absl::StatusOr<Json> written = ParseJson(StringAt(object, {"metadata", "annotations", kTrustKey}));
  if (!written.ok()) return absl::InvalidArgumentError(absl::StrCat("no readable annotation ", kTrustKey));
  SourceTrust trust{.target_name = StringAt(*written, {"target"}), .audiences = StringsAt(*written, {"audiences"})};
  const std::pair<const char*, std::vector<AccountScope>*> lists[] = {
      {"only", &trust.only}, {"powerful", &trust.powerful}, {"denied", &trust.denied}};
  for (const auto& [key, list] : lists) {
    absl::StatusOr<std::vector<AccountScope>> scopes = ParseScopes(*written, key);
    if (!scopes.ok()) return scopes.status();
    *list = *std::move(scopes);
  }
  return trust;
}

}  // namespace k8s
