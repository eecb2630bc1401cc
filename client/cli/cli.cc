#include "client/cli/cli.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <utility>

#include "k8s/core/names.h"
#include "k8s/core/service_account_import.h"

namespace cli {
namespace {

constexpr absl::Duration kFirstContact = absl::Seconds(8);

void Print(const char* color, const char* mark, const std::string& text) {
  static const bool colored = isatty(STDERR_FILENO) && std::getenv("NO_COLOR") == nullptr;
  std::cerr << (colored ? color : "") << mark << (colored ? "\033[0m" : "") << " " << text << "\n";
}

}  // namespace

void Done(const std::string& text) {
  Print("\033[32m", "✓", text);
}
void Note(const std::string& text) {
  Print("\033[33m", "!", text);
}

int Fail(const absl::Status& status) {
  Print("\033[31m", "✗", std::string(status.message()));
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kExitUnreachable;
    default:
      return kExitFailed;
  }
}

absl::StatusOr<Cluster> OpenOneCluster(const ClusterFlags& flags) {
  const k8s::Environment environment = k8s::Environment::OfThisProcess();
  absl::StatusOr<k8s::Kubeconfig> kubeconfig = k8s::LoadKubeconfig(flags.kubeconfig, environment);
  if (!kubeconfig.ok()) return kubeconfig.status();
  absl::StatusOr<k8s::ClusterAccess> access = k8s::SelectContext(*kubeconfig, flags.context);
  if (!access.ok()) return access.status();
  absl::StatusOr<k8s::ClusterConnection> connection = k8s::Connect(*access, environment);
  if (!connection.ok()) return connection.status();
  return Cluster{.context = flags.context.empty() ? kubeconfig->current_context : flags.context,
                 .access = *std::move(access),
                 .connection = *std::move(connection)};
}

absl::StatusOr<std::string> NameOf(const ClusterFlags& flags, const std::string& role) {
  const std::string& name = flags.name.empty() ? flags.context : flags.name;
  if (k8s::IsDnsSubdomain(name)) return name;
  const std::string reason = name.empty()
                                 ? absl::StrCat("the ", role, " has no name")
                                 : absl::StrCat("\"", name, "\" is no DNS-1123 subdomain and cannot name a cluster");
  return absl::InvalidArgumentError(absl::StrCat(reason, "; choose a name: --", role, "-name=NAME"));
}

absl::StatusOr<Cluster> OpenCluster(const ClusterFlags& flags, const std::string& role) {
  absl::StatusOr<Cluster> cluster = OpenOneCluster(flags);
  if (!cluster.ok()) return cluster;
  const absl::StatusOr<std::string> name = NameOf({.context = cluster->context, .name = flags.name}, role);
  if (!name.ok()) return name.status();
  cluster->name = *name;
  absl::StatusOr<k8s::Json> version = cluster->client().GetPath("/version", kFirstContact);
  if (!version.ok()) {
    return absl::Status(version.status().code(),
                        absl::StrCat(role, " cluster ", cluster->name, " at ", cluster->access.server, ": ",
                                     std::string(version.status().message())));
  }
  cluster->version = k8s::StringAt(*version, {"gitVersion"});
  return cluster;
}

void AddFlags(CLI::App& command, AddressFlags& flags) {
  command.add_option("--source-server", flags.server, "the source's URL as pods of the target reach it");
  command.add_option("--source-ca", flags.ca_file, "PEM file of the CA that signed the certificate there");
}

absl::StatusOr<k8s::RemoteCluster> AddressForOthers(const k8s::ClusterAccess& access, const AddressFlags& flags,
                                                    bool for_pods) {
  if (flags.server.empty() && !access.tls_server_name.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the source's certificate is for ", access.tls_server_name,
                     ", by tls-server-name of the kubeconfig, which pods do not read; say a URL with a name that the "
                     "certificate has: --source-server=https://..."));
  }
  if (for_pods && flags.server.empty() && IsLoopback(access.server)) {
    return absl::InvalidArgumentError(absl::StrCat("the source's ", LoopbackAdvice(access.server)));
  }
  k8s::ClusterAccess with_ca = access;
  if (!flags.ca_file.empty()) {
    with_ca.ca_data.clear();
    with_ca.ca_file = flags.ca_file;
  }
  absl::StatusOr<std::string> ca_bundle = k8s::CaBundleOf(with_ca);
  if (!ca_bundle.ok()) return ca_bundle.status();
  if (ca_bundle->empty() && access.insecure_skip_tls_verify) {
    return absl::InvalidArgumentError(
        "the source's kubeconfig names no CA (insecure-skip-tls-verify), and pods always verify the certificate; say "
        "which CA signed it: --source-ca=FILE");
  }
  return k8s::RemoteCluster{.server = flags.server.empty() ? access.server : flags.server,
                            .ca_bundle = *std::move(ca_bundle)};
}

bool IsLoopback(const std::string& server) {
  for (const char* host : {"//127.", "//localhost", "//[::1]", "//0.0.0.0", "//[::]"}) {
    if (absl::StrContains(server, host)) return true;
  }
  return false;
}

std::string LoopbackAdvice(const std::string& server) {
  return absl::StrCat("server is ", server,
                      ", which means another machine to pods; say what they should use: --source-server=https://...");
}

k8s::Resource ResourceOf(const k8s::Json& object) {
  const std::string kind = k8s::StringAt(object, {"kind"});
  const std::string api_version = k8s::StringAt(object, {"apiVersion"});
  const size_t slash = api_version.find('/');
  k8s::Resource resource;
  resource.group = slash == std::string::npos ? "" : api_version.substr(0, slash);
  resource.version = slash == std::string::npos ? api_version : api_version.substr(slash + 1);
  // The plurals of all kinds that we write are regular.
  const std::string lower = absl::AsciiStrToLower(kind);
  resource.plural =
      lower.back() == 'y' ? absl::StrCat(lower.substr(0, lower.size() - 1), "ies") : absl::StrCat(lower, "s");
  return resource;
}

absl::StatusOr<k8s::Json> ApplyObject(const k8s::Client& client, const k8s::Json& object) {
  absl::StatusOr<k8s::Json> applied = client.Apply(ResourceOf(object), object, kManager);
  if (applied.ok()) return applied;
  return absl::Status(applied.status().code(),
                      absl::StrCat("cannot apply ", Describe(object), ": ", std::string(applied.status().message())));
}

absl::Status DeleteObject(const k8s::Client& client, const k8s::Json& object) {
  return client.Delete(ResourceOf(object), k8s::KeyOf(object));
}

std::string Describe(const k8s::Json& object) {
  const k8s::ObjectKey key = k8s::KeyOf(object);
  return absl::StrCat(absl::AsciiStrToLower(k8s::StringAt(object, {"kind"})), "/", key.name,
                      key.namespace_name.empty() ? "" : " in ", key.namespace_name);
}

void AddFlags(CLI::App& command, ClusterPairFlags& flags) {
  command.add_option("CONTEXTS", flags.contexts, "two contexts: the target, then the source")->expected(0, 2);
  for (const auto& [role, cluster] :
       {std::pair<std::string, ClusterFlags*>{"target", &flags.target}, {"source", &flags.source}}) {
    command.add_option("--" + role + "-context", cluster->context,
                       "context of the " + role + "; default the current one");
    command.add_option("--" + role + "-kubeconfig", cluster->kubeconfig, "kubeconfig of the " + role);
    command.add_option("--" + role + "-name", cluster->name, "name of the " + role + "; default its context's");
  }
}

absl::Status Resolve(ClusterPairFlags& flags) {
  if (flags.contexts.empty()) return absl::OkStatus();
  if (flags.contexts.size() != 2)
    return absl::InvalidArgumentError("name both contexts, target first: CLUSTER1 CLUSTER2");
  flags.target.context = flags.contexts[0];
  flags.source.context = flags.contexts[1];
  return absl::OkStatus();
}

void AddFlags(CLI::App& command, ClusterFlags& flags, const std::string& role) {
  command.add_option("--context", flags.context, "context of the " + role + "; default the current one");
  command.add_option("--kubeconfig", flags.kubeconfig, "kubeconfig of the " + role);
}

bool WaitUntil(absl::Duration timeout, const std::function<bool()>& done) {
  for (const absl::Time end = absl::Now() + timeout;; absl::SleepFor(absl::Milliseconds(200))) {
    if (done()) return true;
    if (absl::Now() >= end) return false;
  }
}

}  // namespace cli
