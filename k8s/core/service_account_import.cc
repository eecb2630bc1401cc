#include "k8s/core/service_account_import.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "k8s/core/names.h"

namespace k8s {
namespace {

ImportStatus ParseStatus(const Json& object) {
  ImportStatus status;
  for (const Json& secret : ArrayAt(object, {"status", "secrets"})) {
    status.secret_names.push_back(StringAt(secret, {"name"}));
  }
  for (const Json& condition : ArrayAt(object, {"status", "conditions"})) {
    status.conditions.push_back({.type = StringAt(condition, {"type"}),
                                 .status = StringAt(condition, {"status"}) == "True",
                                 .reason = StringAt(condition, {"reason"}),
                                 .message = StringAt(condition, {"message"}),
                                 .observed_generation = IntAt(condition, {"observedGeneration"}),
                                 .last_transition_time = TimeAt(condition, {"lastTransitionTime"})});
  }
  status.observed_generation = IntAt(object, {"status", "observedGeneration"});
  status.server = StringAt(object, {"status", "server"});
  status.expires_at = StringAt(object, {"status", "expiresAt"});
  status.next_renewal_at = StringAt(object, {"status", "nextRenewalAt"});
  status.token_id = StringAt(object, {"status", "tokenId"});
  status.account_uid = StringAt(object, {"status", "accountUid"});
  status.cluster_name = StringAt(object, {"status", "clusterName"});
  status.renew_requested_at = StringAt(object, {"status", "renewRequestedAt"});
  return status;
}

void PutUnlessEmpty(JsonObject& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}

}  // namespace

absl::StatusOr<ServiceAccountImport> ParseServiceAccountImport(const Json& object) {
  ServiceAccountImport import;
  import.meta = ParseObjectMeta(object);
  import.spec.cluster_name = StringAt(object, {"spec", "clusterName"});
  import.spec.namespace_name = StringAt(object, {"spec", "namespace"});
  import.spec.name = StringAt(object, {"spec", "name"});
  import.spec.audiences = StringsAt(object, {"spec", "audiences"});
  if (const int64_t seconds = IntAt(object, {"spec", "expirationSeconds"}); seconds > 0) {
    import.spec.expiration = absl::Seconds(seconds);
  }
  if (StringAt(object, {"spec", "delivery"}) == "Broker") import.spec.delivery = Delivery::kBroker;
  import.status = ParseStatus(object);

  const std::pair<const char*, const std::string*> names[] = {{"metadata.name", &import.meta.name},
                                                              {"metadata.namespace", &import.meta.namespace_name},
                                                              {"spec.clusterName", &import.spec.cluster_name},
                                                              {"spec.namespace", &import.spec.namespace_name},
                                                              {"spec.name", &import.spec.name}};
  for (const auto& [field, name] : names) {
    if (!IsDnsSubdomain(*name)) {
      return absl::InvalidArgumentError(
          absl::StrCat(ToString(import.meta.key()), ": ", field, " is no DNS-1123 subdomain"));
    }
  }
  return import;
}

const Condition* FindCondition(const ImportStatus& status, const std::string& type) {
  for (const Condition& condition : status.conditions) {
    if (condition.type == type) return &condition;
  }
  return nullptr;
}

void SetCondition(ImportStatus& status, Condition condition, absl::Time now) {
  // Whole seconds, as the API server keeps them: else the same condition read back would look changed.
  condition.last_transition_time = absl::FromUnixSeconds(absl::ToUnixSeconds(now));
  for (Condition& existing : status.conditions) {
    if (existing.type != condition.type) continue;
    if (existing.status == condition.status) condition.last_transition_time = existing.last_transition_time;
    existing = std::move(condition);
    return;
  }
  status.conditions.push_back(std::move(condition));
}

void RemoveCondition(ImportStatus& status, const std::string& type) {
  std::erase_if(status.conditions, [&](const Condition& condition) { return condition.type == type; });
}

Json BuildImportStatus(const ObjectMeta& meta, const ImportStatus& status) {
  JsonArray secrets;
  for (const std::string& name : status.secret_names) secrets.push_back(JsonObject{{"name", name}});
  JsonArray conditions;
  for (const Condition& condition : status.conditions) {
    conditions.push_back(JsonObject{{"type", condition.type},
                                    {"status", condition.status ? "True" : "False"},
                                    {"reason", condition.reason},
                                    {"message", condition.message},
                                    {"observedGeneration", condition.observed_generation},
                                    {"lastTransitionTime", ToRfc3339(condition.last_transition_time)}});
  }
  JsonObject fields{{"secrets", std::move(secrets)},
                    {"conditions", std::move(conditions)},
                    {"observedGeneration", status.observed_generation}};
  PutUnlessEmpty(fields, "server", status.server);
  PutUnlessEmpty(fields, "expiresAt", status.expires_at);
  PutUnlessEmpty(fields, "nextRenewalAt", status.next_renewal_at);
  PutUnlessEmpty(fields, "tokenId", status.token_id);
  PutUnlessEmpty(fields, "accountUid", status.account_uid);
  PutUnlessEmpty(fields, "clusterName", status.cluster_name);
  PutUnlessEmpty(fields, "renewRequestedAt", status.renew_requested_at);
  return JsonObject{
      {"apiVersion", kApiVersion},
      {"kind", kImportKind},
      // With the UID, a status never lands on an import that was deleted and made again.
      {"metadata", JsonObject{{"name", meta.name}, {"namespace", meta.namespace_name}, {"uid", meta.uid}}},
      {"status", std::move(fields)}};
}

bool IsDnsSubdomain(const std::string& name) {
  if (name.empty() || name.size() > 253) return false;
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  char before = '.';
  for (char c : name) {
    if (!alphanumeric(c) && c != '-' && c != '.') return false;
    if ((c == '.' && !alphanumeric(before)) || (c == '-' && before == '.')) return false;
    before = c;
  }
  return alphanumeric(before);
}

}  // namespace k8s
