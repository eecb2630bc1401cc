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

// A cluster, user or context, and the folder that its relative paths start from.
struct Item {
  YAML::Node node;
  std::string folder;
};
using Items = std::map<std::string, Item>;

// What some kubeconfigs hold together.
struct Lists {
  std::string current_context;
  Items clusters, users, contexts;
};

// Adds a list's items to those of earlier files, which win. Of two with one name in one file nobody could say which is
// meant; client-go refuses them too.
absl::Status AddItems(const YAML::Node& list, const char* kind, const std::string& folder, Items& all) {
  if (!list || !list.IsSequence()) return absl::OkStatus();
  Items items;
  for (const YAML::Node& node : list) {
    if (!node.IsMap() || !node[kind]) continue;
    const std::string name = Scalar(node, "name");
    if (!items.emplace(name, Item{.node = node[kind], .folder = folder}).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("a kubeconfig with two ", kind, "s named \"", name, "\"; rename one"));
    }
  }
  all.merge(items);
  return absl::OkStatus();
}

absl::Status AddFile(const KubeconfigFile& file, Lists& lists) {
  if (file.text.size() > kMaxKubeconfigBytes) {
    return absl::InvalidArgumentError("a kubeconfig of more than 1 MiB is not read");
  }
  const YAML::Node root = YAML::Load(std::string(file.text.Reveal()));
  if (!root.IsMap()) return absl::InvalidArgumentError("not a kubeconfig: no YAML mapping");
  if (const std::string kind = Scalar(root, "kind"); !kind.empty() && kind != "Config") {
    return absl::InvalidArgumentError("not a kubeconfig: kind is not Config");
  }
  if (lists.current_context.empty()) lists.current_context = Scalar(root, "current-context");
  absl::Status status = AddItems(root["clusters"], "cluster", file.folder, lists.clusters);
  if (status.ok()) status = AddItems(root["users"], "user", file.folder, lists.users);
  if (status.ok()) status = AddItems(root["contexts"], "context", file.folder, lists.contexts);
  return status;
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

absl::StatusOr<ClusterAccess> Resolve(const YAML::Node& context, const Lists& lists) {
  ClusterAccess access;
  access.cluster_name = Scalar(context, "cluster");
  access.namespace_name = Scalar(context, "namespace");
  if (access.namespace_name.empty()) access.namespace_name = "default";
  const auto cluster = lists.clusters.find(access.cluster_name);
  if (cluster == lists.clusters.end())
    return absl::FailedPreconditionError(absl::StrCat("there is no cluster \"", access.cluster_name, "\""));
  absl::Status status = ReadCluster(cluster->second.node, cluster->second.folder, access);
  if (!status.ok()) return status;
  const std::string user_name = Scalar(context, "user");
  if (user_name.empty()) return access;
  const auto user = lists.users.find(user_name);
  if (user == lists.users.end())
    return absl::FailedPreconditionError(absl::StrCat("there is no user \"", user_name, "\""));
  status = ReadUser(user->second.node, user->second.folder, access);
  if (!status.ok()) return status;
  return access;
}

}  // namespace

absl::StatusOr<Kubeconfig> ParseKubeconfigs(const std::vector<KubeconfigFile>& files) {
  Lists lists;
  Kubeconfig kubeconfig;
  const std::string* name = nullptr;
  const auto prefix = [&] { return name == nullptr || name->empty() ? "" : absl::StrCat(*name, ": "); };
  try {  // yaml-cpp reports by exceptions; none leaves this function
    for (const KubeconfigFile& file : files) {
      name = &file.name;
      if (const absl::Status status = AddFile(file, lists); !status.ok()) {
        return absl::InvalidArgumentError(absl::StrCat(prefix(), std::string(status.message())));
      }
    }
    for (const auto& [context_name, context] : lists.contexts) {
      absl::StatusOr<ClusterAccess> access = Resolve(context.node, lists);
      if (access.ok()) {
        kubeconfig.contexts.emplace(context_name, *std::move(access));
      } else {
        kubeconfig.broken_contexts.emplace(context_name, std::string(access.status().message()));
      }
    }
  } catch (const YAML::Exception& exception) {
    // Its message may quote a value, hence the position alone.
    return absl::InvalidArgumentError(
        absl::StrCat(prefix(), "not a kubeconfig: malformed YAML near line ", exception.mark.line + 1));
  }
  kubeconfig.current_context = std::move(lists.current_context);
  return kubeconfig;
}

absl::StatusOr<Kubeconfig> ParseKubeconfig(std::string_view text, const std::string& folder) {
  return ParseKubeconfigs({{.folder = folder, .text = SecretString(text), .name = ""}});
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
