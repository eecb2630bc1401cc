#ifndef K8S_CORE_BUILD_SECRET_H_
#define K8S_CORE_BUILD_SECRET_H_

#include <map>
#include <string>

#include "k8s/core/json.h"
#include "k8s/core/names.h"
#include "k8s/core/object.h"
#include "k8s/core/secret_string.h"

namespace k8s {

// What a Secret says of the cluster that its token is for.
struct RemoteCluster {
  std::string server;          // "https://host:port/path"
  std::string ca_bundle;       // PEM; "" when the system's roots are meant
  std::string namespace_name;  // of the remote ServiceAccount
};

// An import as the owner of its Secret.
struct ImportRef {
  std::string namespace_name;
  std::string name;
  std::string uid;
};

// "<import>-token-<10 hex digits of the UID's hash>", the import's part cut to fit 253 characters. The UID makes it new
// for an import that was deleted and made again, so that two of them never share a Secret.
std::string SecretName(const std::string& import_name, const std::string& import_uid);

// The keys that hold a credential, and go when it is withdrawn.
inline constexpr const char* kCredentialKeys[] = {kTokenKey, kConfigKey, kConfigInlineKey};

// The six keys of an import's Secret (names.h), as plain values.
std::map<std::string, SecretString> BuildSecretData(const std::string& import_name, const RemoteCluster& cluster,
                                                    const SecretString& token);

// The labels by which an import's Secret is watched and found.
std::map<std::string, std::string> SecretLabels(const std::string& import_name);

// The Secret as an object for server-side apply: `data` in base64, owned by the import. Holds the token.
// `secret_uid`, unless empty, makes the apply fail on any other Secret of that name.
Json BuildSecret(const ImportRef& import, const std::map<std::string, SecretString>& data,
                 const std::string& secret_uid = "");

// Any Secret of ours, for server-side apply.
Json BuildOpaqueSecret(JsonObject metadata, const std::map<std::string, SecretString>& data);

// Decodes `data` of a Secret. A value that is no base64 comes out empty.
std::map<std::string, SecretString> ParseSecretData(const Json& secret);

}  // namespace k8s

#endif  // K8S_CORE_BUILD_SECRET_H_
