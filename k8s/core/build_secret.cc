#include "k8s/core/build_secret.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <openssl/sha.h>

#include <string_view>

#include "k8s/core/build_kubeconfig.h"

namespace k8s {
namespace {

constexpr size_t kMaxNameBytes = 253;
constexpr size_t kMaxLabelBytes = 63;
constexpr size_t kUidHashBytes = 5;

}  // namespace

std::string SecretName(const std::string& import_name, const std::string& import_uid) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(import_uid.data()), import_uid.size(), digest);
  const std::string suffix =
      absl::StrCat("-token-", absl::BytesToHexString({reinterpret_cast<const char*>(digest), kUidHashBytes}));
  std::string prefix = import_name.substr(0, kMaxNameBytes - suffix.size());
  // A cut may leave "a." or "a-" before the dash: "a.-token" is no DNS-1123 subdomain.
  while (!prefix.empty() && (prefix.back() == '.' || prefix.back() == '-')) prefix.pop_back();
  return prefix + suffix;
}

std::map<std::string, SecretString> BuildSecretData(const std::string& import_name, const RemoteCluster& cluster,
                                                    const SecretString& token) {
  KubeconfigEntry entry{.name = import_name,
                        .server = cluster.server,
                        .ca_bundle = cluster.ca_bundle,
                        .namespace_name = cluster.namespace_name};
  std::map<std::string, SecretString> data{{kServerKey, SecretString(cluster.server)},
                                           {kCaKey, SecretString(cluster.ca_bundle)},
                                           {kNamespaceKey, SecretString(cluster.namespace_name)},
                                           {kTokenKey, token}};
  entry.token_file = absl::StrCat(kImportsDirectory, "/", import_name, "/", kTokenKey);
  data.emplace(kConfigKey, BuildKubeconfig({entry}));
  entry.token_file.clear();
  entry.token = token;
  data.emplace(kConfigInlineKey, BuildKubeconfig({entry}));
  return data;
}

std::map<std::string, std::string> SecretLabels(const std::string& import_name) {
  std::map<std::string, std::string> labels{{kManagedByLabel, kManagedByValue}};
  if (import_name.size() <= kMaxLabelBytes) labels[kImportNameKey] = import_name;
  return labels;
}

Json BuildSecret(const ImportRef& import, const std::map<std::string, SecretString>& data,
                 const std::string& secret_uid) {
  JsonObject metadata{{"name", SecretName(import.name, import.uid)},
                      {"namespace", import.namespace_name},
                      {"labels", ToJsonObject(SecretLabels(import.name))},
                      {"ownerReferences", JsonArray{JsonObject{{"apiVersion", kApiVersion},
                                                               {"kind", kImportKind},
                                                               {"name", import.name},
                                                               {"uid", import.uid},
                                                               {"controller", true}}}}};
  if (!secret_uid.empty()) metadata["uid"] = secret_uid;
  return BuildOpaqueSecret(std::move(metadata), data);
}

Json BuildOpaqueSecret(JsonObject metadata, const std::map<std::string, SecretString>& data) {
  JsonObject encoded;
  for (const auto& [key, value] : data) {
    encoded[key] = absl::Base64Escape({value.Reveal().data(), value.size()});
  }
  return JsonObject{{"apiVersion", "v1"},
                    {"kind", "Secret"},
                    {"metadata", std::move(metadata)},
                    {"type", "Opaque"},
                    {"data", std::move(encoded)}};
}

std::map<std::string, SecretString> ParseSecretData(const Json& secret) {
  std::map<std::string, SecretString> data;
  for (const auto& [key, value] : StringMapAt(secret, {"data"})) {
    std::string decoded;
    if (!absl::Base64Unescape(value, &decoded)) decoded.clear();
    data.emplace(key, SecretString(decoded));
  }
  return data;
}

}  // namespace k8s
