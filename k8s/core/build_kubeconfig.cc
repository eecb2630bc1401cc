#include "k8s/core/build_kubeconfig.h"

#include <absl/strings/escaping.h>

#include "k8s/core/json.h"

namespace k8s {
namespace {

JsonObject BuildCluster(const KubeconfigEntry& entry) {
  JsonObject cluster{{"server", entry.server}};
  if (!entry.ca_bundle.empty()) cluster["certificate-authority-data"] = absl::Base64Escape(entry.ca_bundle);
  return cluster;
}

JsonObject BuildUser(const KubeconfigEntry& entry) {
  if (!entry.exec_command.empty()) {
    // interactiveMode is required in v1; without provideClusterInfo the plugin gets no KUBERNETES_EXEC_INFO, which many
    // clients do not offer anyway.
    return {{"exec", JsonObject{{"apiVersion", "client.authentication.k8s.io/v1"},
                                {"command", entry.exec_command},
                                {"args", ToJsonArray(entry.exec_args)},
                                {"interactiveMode", "Never"},
                                {"provideClusterInfo", false}}}};
  }
  if (!entry.token_file.empty()) return {{"tokenFile", entry.token_file}};
  return {{"token", entry.token.Reveal()}};
}

}  // namespace

SecretString BuildKubeconfig(absl::Span<const KubeconfigEntry> entries) {
  JsonArray clusters, users, contexts;
  for (const KubeconfigEntry& entry : entries) {
    clusters.push_back(JsonObject{{"name", entry.name}, {"cluster", BuildCluster(entry)}});
    users.push_back(JsonObject{{"name", entry.name}, {"user", BuildUser(entry)}});
    const JsonObject context{{"cluster", entry.name}, {"user", entry.name}, {"namespace", entry.namespace_name}};
    contexts.push_back(JsonObject{{"name", entry.name}, {"context", context}});
  }
  return SecretString(boost::json::serialize(JsonObject{
      {"apiVersion", "v1"},
      {"kind", "Config"},
      {"current-context", entries.empty() ? "" : entries.front().name},
      {"clusters", std::move(clusters)},
      {"users", std::move(users)},
      {"contexts", std::move(contexts)},
  }));
}

}  // namespace k8s
