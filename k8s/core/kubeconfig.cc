#include "k8s/core/kubeconfig.h"

#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <yaml-cpp/yaml.h>

namespace k8s {
namespace {

constexpr size_t kMaxKubeconfigBytes = 1 << 20;

std::string Scalar(const YAML::Node& node, const char* key) {
  const YAML::Node value = node.IsMap() ? node[key] : YAML::Node();
  return value && value.IsScalar() ? value.Scalar() : "";
}

std::string Join(const std::string& folder, const std::string& path) {
  return path.empty() || path.front() == '/' ? path : absl::StrCat(folder, "/", path);
}

// The named items of a kubeconfig's list: clusters, users or contexts. Of two with one name nobody could say which is
// meant; client-go refuses them too.
absl::StatusOr<std::map<std::string, YAML::Node>> Named(const YAML::Node& root, const char* list, const char* item) {
  std::map<std::string, YAML::Node> named;
  const YAML::Node items = root[list];
  if (!items || !items.IsSequence()) return named;
  for (const YAML::Node& node : items) {
    if (!node.IsMap() || !node[item]) continue;
    const std::string name = Scalar(node, "name");
    if (!named.emplace(name, node[item]).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("a kubeconfig with two ", list, " named \"", name, "\"; rename one"));
    }
  }
  return named;
}

bool Decode(const std::string& base64, std::string& decoded) {
  return absl::Base64Unescape(base64, &decoded);
}

absl::Status ReadCluster(const YAML::Node& cluster, const std::string& folder, ClusterAccess& access) {
  access.server = Scalar(cluster, "server");
  if (access.server.empty()) return absl::FailedPreconditionError("its cluster has no server");
  if (!Decode(Scalar(cluster, "certificate-authority-data"), access.ca_data)) {
    return absl::FailedPreconditionError("certificate-authority-data is not base64");
  }
  access.ca_file = Join(folder, Scalar(cluster, "certificate-authority"));
  access.tls_server_name = Scalar(cluster, "tls-server-name");
  access.proxy_url = Scalar(cluster, "proxy-url");
  access.insecure_skip_tls_verify = Scalar(cluster, "insecure-skip-tls-verify") == "true";
  return absl::OkStatus();
}

ExecPlugin ReadExec(const YAML::Node& exec, const std::string& folder) {
  ExecPlugin plugin;
  plugin.api_version = Scalar(exec, "apiVersion");
  plugin.command = Scalar(exec, "command");
  // A bare name is looked up on PATH; a relative path starts at the kubeconfig, as in client-go.
  if (plugin.command.find('/') != std::string::npos) plugin.command = Join(folder, plugin.command);
  for (const YAML::Node& arg : exec["args"]) {
    if (arg.IsScalar()) plugin.args.push_back(arg.Scalar());
  }
  for (const YAML::Node& variable : exec["env"])
    plugin.env.emplace_back(Scalar(variable, "name"), Scalar(variable, "value"));
  plugin.install_hint = Scalar(exec, "installHint");
  plugin.provide_cluster_info = Scalar(exec, "provideClusterInfo") == "true";
  return plugin;
}

absl::Status ReadUser(const YAML::Node& user, const std::string& folder, ClusterAccess& access) {
  access.token = SecretString(Scalar(user, "token"));
  access.token_file = Join(folder, Scalar(user, "tokenFile"));
  std::string key;
  if (!Decode(Scalar(user, "client-certificate-data"), access.client_certificate_data) ||
      !Decode(Scalar(user, "client-key-data"), key)) {
    return absl::FailedPreconditionError("client-certificate-data or client-key-data is not base64");
  }
  access.client_key_data = SecretString(key);
  access.client_certificate_file = Join(folder, Scalar(user, "client-certificate"));
  access.client_key_file = Join(folder, Scalar(user, "client-key"));
  access.username = Scalar(user, "username");
  access.password = SecretString(Scalar(user, "password"));
  if (user.IsMap() && user["exec"] && user["exec"].IsMap()) access.exec = ReadExec(user["exec"], folder);
  if (user.IsMap() && user["auth-provider"]) {
    return absl::FailedPreconditionError(
        "its user has an auth-provider, which Kubernetes removed in 1.26; use its exec plugin");
  }
  return absl::OkStatus();
}

absl::StatusOr<ClusterAccess> Resolve(const YAML::Node& context, const std::map<std::string, YAML::Node>& clusters,
                                      const std::map<std::string, YAML::Node>& users, const std::string& folder) {
  ClusterAccess access;
  access.cluster_name = Scalar(context, "cluster");
  access.namespace_name = Scalar(context, "namespace");
  if (access.namespace_name.empty()) access.namespace_name = "default";
  const auto cluster = clusters.find(access.cluster_name);
  if (cluster == clusters.end())
    return absl::FailedPreconditionError(absl::StrCat("there is no cluster \"", access.cluster_name, "\""));
  if (absl::Status status = ReadCluster(cluster->second, folder, access); !status.ok()) return status;
  const std::string user_name = Scalar(context, "user");
  if (user_name.empty()) return access;
  const auto user = users.find(user_name);
  if (user == users.end()) return absl::FailedPreconditionError(absl::StrCat("there is no user \"", user_name, "\""));
  if (absl::Status status = ReadUser(user->second, folder, access); !status.ok()) return status;
  return access;
}

}  // namespace

absl::StatusOr<Kubeconfig> ParseKubeconfig(std::string_view text, const std::string& folder) {
  if (text.size() > kMaxKubeconfigBytes)
    return absl::InvalidArgumentError("a kubeconfig of more than 1 MiB is not read");
  Kubeconfig kubeconfig;
  try {  // yaml-cpp reports by exceptions; none leaves this function
    const YAML::Node root = YAML::Load(std::string(text));
    if (!root.IsMap()) return absl::InvalidArgumentError("not a kubeconfig: no YAML mapping");
    if (const std::string kind = Scalar(root, "kind"); !kind.empty() && kind != "Config") {
      return absl::InvalidArgumentError("not a kubeconfig: kind is not Config");
    }
    kubeconfig.current_context = Scalar(root, "current-context");
    const auto clusters = Named(root, "clusters", "cluster");
    const auto users = Named(root, "users", "user");
    const auto contexts = Named(root, "contexts", "context");
    for (const auto* named : {&clusters, &users, &contexts}) {
      if (!named->ok()) return named->status();
    }
    for (const auto& [name, context] : *contexts) {
      absl::StatusOr<ClusterAccess> access = Resolve(context, *clusters, *users, folder);
      if (access.ok()) {
        kubeconfig.contexts.emplace(name, *std::move(access));
      } else {
        kubeconfig.broken_contexts.emplace(name, std::string(access.status().message()));
      }
    }
  } catch (const YAML::Exception& exception) {
    // Its message may quote a value, hence the position alone.
    return absl::InvalidArgumentError(
        absl::StrCat("not a kubeconfig: malformed YAML near line ", exception.mark.line + 1));
  }
  return kubeconfig;
}

Kubeconfig MergeKubeconfigs(Kubeconfig base, Kubeconfig more) {
  if (base.current_context.empty()) base.current_context = std::move(more.current_context);
  for (auto& [name, access] : more.contexts) {
    if (!base.broken_contexts.contains(name)) base.contexts.emplace(name, std::move(access));
  }
  for (auto& [name, error] : more.broken_contexts) {
    if (!base.contexts.contains(name)) base.broken_contexts.emplace(name, std::move(error));
  }
  return base;
}

absl::StatusOr<ClusterAccess> SelectContext(const Kubeconfig& kubeconfig, const std::string& context) {
  const std::string& name = context.empty() ? kubeconfig.current_context : context;
  if (const auto found = kubeconfig.contexts.find(name); found != kubeconfig.contexts.end()) return found->second;
  if (const auto broken = kubeconfig.broken_contexts.find(name); broken != kubeconfig.broken_contexts.end()) {
    return absl::FailedPreconditionError(absl::StrCat("context \"", name, "\" cannot be used: ", broken->second));
  }
  const std::string known =
      absl::StrJoin(kubeconfig.contexts, ", ", [](std::string* out, const auto& entry) { *out += entry.first; });
  if (name.empty()) return absl::NotFoundError(absl::StrCat("the kubeconfig has no current context; it has: ", known));
  return absl::NotFoundError(absl::StrCat("the kubeconfig has no context \"", name, "\"; it has: ", known));
}

}  // namespace k8s
