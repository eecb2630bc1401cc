#include "client/cpp/configs.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "client/cpp/config_sources.h"
#include "k8s/api/mounted_import.h"
#include "k8s/core/names.h"

namespace mcsa {
namespace {

std::string Directory(const ConfigOptions& options) {
  if (!options.imports_directory.empty()) return options.imports_directory;
  const std::string variable = options.environment.Get(k8s::kImportsDirectoryVariable);
  return variable.empty() ? k8s::kImportsDirectory : variable;
}

absl::StatusOr<RemoteConfig> Config(std::string name, Origin origin,
                                    absl::StatusOr<std::shared_ptr<ConfigSource>> source) {
  if (!source.ok()) return source.status();
  return RemoteConfig(std::move(name), origin, *std::move(source));
}

absl::StatusOr<RemoteConfig> Import(const std::string& name, const ConfigOptions& options) {
  return Config(name, Origin::kImport, ImportFilesSource(Directory(options), name, options.environment));
}

absl::StatusOr<RemoteConfig> Context(const k8s::Kubeconfig& kubeconfig, const std::string& name,
                                     const ConfigOptions& options) {
  absl::StatusOr<k8s::ClusterAccess> access = k8s::SelectContext(kubeconfig, name);
  if (!access.ok()) return access.status();
  return Config(name, Origin::kKubeconfig, AccessSource(*access, options.environment));
}

absl::StatusOr<RemoteConfig> InCluster(const ConfigOptions& options) {
  absl::StatusOr<k8s::ClusterAccess> access = k8s::InClusterAccess(options.environment);
  if (!access.ok()) return access.status();
  return Config(access->cluster_name, Origin::kInCluster, AccessSource(*access, options.environment));
}

std::string NoneMounted(const ConfigOptions& options) {
  return absl::StrCat("no ServiceAccountImport is mounted below ", Directory(options), "; annotate the pod with ",
                      k8s::kImportNameKey, ", or mount the import's Secret at ", Directory(options), "/NAME");
}

// The only import, or nothing if there is none.
absl::StatusOr<std::optional<RemoteConfig>> OnlyImport(const ConfigOptions& options) {
  absl::StatusOr<std::vector<std::string>> names = k8s::MountedImportNames(Directory(options));
  if (!names.ok()) return names.status();
  if (names->empty()) return std::nullopt;
  if (names->size() > 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("several ServiceAccountImports are mounted and one was asked for: ", absl::StrJoin(*names, ", "),
                     "; take one of them by its name"));
  }
  absl::StatusOr<RemoteConfig> config = Import(names->front(), options);
  if (!config.ok()) return config.status();
  return *std::move(config);
}

void Add(std::string name, absl::StatusOr<RemoteConfig> config, NamedConfigs& result) {
  if (config.ok()) {
    result.configs.emplace(std::move(name), *std::move(config));
  } else {
    result.errors.emplace(std::move(name), config.status());
  }
}

}  // namespace

absl::StatusOr<RemoteConfig> ServiceAccountImportConfigAndNamespace(const ConfigOptions& options) {
  absl::StatusOr<std::optional<RemoteConfig>> import = OnlyImport(options);
  if (!import.ok()) return import.status();
  if (!*import) return absl::NotFoundError(NoneMounted(options));
  return **std::move(import);
}

absl::StatusOr<RemoteConfig> NamedServiceAccountImportConfigAndNamespace(const std::string& name,
                                                                         const ConfigOptions& options) {
  return Import(name, options);
}

NamedConfigs AllServiceAccountImportConfigsAndNamespaces(const ConfigOptions& options) {
  NamedConfigs result;
  absl::StatusOr<std::vector<std::string>> names = k8s::MountedImportNames(Directory(options));
  if (!names.ok()) {
    result.errors.emplace("imports", names.status());
    return result;
  }
  for (const std::string& name : *names) Add(name, Import(name, options), result);
  return result;
}

absl::StatusOr<RemoteConfig> ConfigAndNamespace(const ConfigOptions& options) {
  absl::StatusOr<std::optional<RemoteConfig>> import = OnlyImport(options);
  if (!import.ok()) return import.status();
  if (*import) return **std::move(import);
  absl::StatusOr<k8s::Kubeconfig> kubeconfig = k8s::LoadKubeconfig(options.kubeconfig, options.environment);
  if (!kubeconfig.ok() && !absl::IsNotFound(kubeconfig.status())) return kubeconfig.status();
  if (kubeconfig.ok() && !kubeconfig->current_context.empty()) {
    return Context(*kubeconfig, kubeconfig->current_context, options);
  }
  absl::StatusOr<RemoteConfig> in_cluster = InCluster(options);
  if (!absl::IsFailedPrecondition(in_cluster.status())) return in_cluster;
  return absl::NotFoundError(absl::StrCat(
      NoneMounted(options), "; ",
      kubeconfig.ok() ? "the kubeconfig has no current context" : std::string(kubeconfig.status().message()), "; ",
      std::string(in_cluster.status().message())));
}

absl::StatusOr<RemoteConfig> NamedConfigAndNamespace(const std::string& name, const ConfigOptions& options) {
  absl::StatusOr<RemoteConfig> import = Import(name, options);
  // A context's name may be one that no import can have.
  if (!absl::IsNotFound(import.status()) && !absl::IsInvalidArgument(import.status())) return import;
  absl::StatusOr<k8s::Kubeconfig> kubeconfig = k8s::LoadKubeconfig(options.kubeconfig, options.environment);
  if (kubeconfig.ok() && !name.empty()) {
    absl::StatusOr<RemoteConfig> context = Context(*kubeconfig, name, options);
    if (!absl::IsNotFound(context.status())) return context;
    kubeconfig = context.status();
  }
  if (!absl::IsNotFound(kubeconfig.status())) return kubeconfig.status();
  return absl::NotFoundError(absl::StrCat("there is no import and no kubeconfig context \"", name,
                                          "\": ", std::string(import.status().message()), "; ",
                                          std::string(kubeconfig.status().message())));
}

NamedConfigs AllNamedConfigsAndNamespaces(const ConfigOptions& options) {
  NamedConfigs result = AllServiceAccountImportConfigsAndNamespaces(options);
  absl::StatusOr<k8s::Kubeconfig> kubeconfig = k8s::LoadKubeconfig(options.kubeconfig, options.environment);
  if (!kubeconfig.ok()) {
    if (!absl::IsNotFound(kubeconfig.status())) result.errors.emplace("kubeconfig", kubeconfig.status());
    return result;
  }
  // A broken import hides the context of its name all the same: who asks for it meant the import.
  const auto is_import = [&](const std::string& name) {
    return result.configs.contains(name) || result.errors.contains(name);
  };
  std::vector<std::string> names;
  for (const auto& [name, access] : kubeconfig->contexts) names.push_back(name);
  for (const auto& [name, error] : kubeconfig->broken_contexts) names.push_back(name);
  for (const std::string& name : names) {
    if (!is_import(name)) Add(name, Context(*kubeconfig, name, options), result);
  }
  return result;
}

}  // namespace mcsa
