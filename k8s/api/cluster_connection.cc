#include "k8s/api/cluster_connection.h"

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <optional>
#include <utility>
#include <vector>

#include "k8s/api/clock.h"
#include "k8s/api/exec_login.h"
#include "k8s/api/exec_plugin.h"
#include "k8s/api/exec_transport.h"
#include "k8s/api/httplib_transport.h"
#include "k8s/api/read_file.h"
#include "k8s/api/tls_context.h"
#include "k8s/core/no_proxy.h"
#include "k8s/core/server_url.h"

namespace k8s {
namespace {

constexpr char kServiceAccountFolder[] = "/var/run/secrets/kubernetes.io/serviceaccount";

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// Makes transports to one server.
struct TransportMaker {
  std::string ca;           // PEM
  std::string certificate;  // PEM, of the kubeconfig; empty for none
  SecretString key;         // PEM
  HttplibOptions options;   // but for its TLS context

  absl::StatusOr<std::unique_ptr<HttpTransport>> Make(std::unique_ptr<CredentialSource> authorization) const {
    absl::StatusOr<TlsContext> tls = BuildTlsContext(ca, certificate, key);
    if (!tls.ok()) return tls.status();
    HttplibOptions with_tls = options;
    with_tls.tls = *std::move(tls);
    return HttplibTransport::Create(std::move(with_tls), std::move(authorization));
  }

  // Runs `plugin`. Errors: those of RunExecPlugin.
  absl::StatusOr<ExecSession> LogIn(const ExecPlugin& plugin) const {
    absl::StatusOr<ExecCredential> credential = RunExecPlugin(plugin);
    if (!credential.ok()) return credential.status();
    TransportMaker maker = *this;
    if (!credential->client_certificate.empty()) {
      maker.certificate = credential->client_certificate;
      maker.key = credential->client_key;
    }
    auto transport = maker.Make(StaticCredential(AuthorizationOf(*credential)));
    if (transport.ok()) return ExecSession{*std::move(credential), *std::move(transport)};
    return absl::UnauthenticatedError(absl::StrCat("exec plugin ", plugin.command, " printed a credential of no use: ",
                                                   std::string(transport.status().message())));
  }
};

}  // namespace

absl::StatusOr<Kubeconfig> LoadKubeconfig(const std::string& path, const Environment& environment) {
  std::string list = path.empty() ? environment.Get("KUBECONFIG") : path;
  if (list.empty()) {
    const std::string home = environment.Get("HOME");
    if (home.empty()) return absl::NotFoundError("no kubeconfig found: KUBECONFIG and HOME are not set");
    list = absl::StrCat(home, "/.kube/config");
  }
  std::vector<KubeconfigFile> files;
  for (const absl::string_view file : absl::StrSplit(list, ':', absl::SkipEmpty())) {
    const std::string name(file);
    absl::StatusOr<SecretString> text = ReadFile(name);
    if (absl::IsNotFound(text.status())) continue;
    if (!text.ok()) return text.status();
    files.push_back({.folder = FolderOf(name), .text = *std::move(text), .name = name});
  }
  if (files.empty()) return absl::NotFoundError(absl::StrCat("no kubeconfig found: looked at ", list));
  return ParseKubeconfigs(files);
}

absl::StatusOr<ClusterAccess> InClusterAccess(const Environment& environment) {
  const std::string host = environment.Get("KUBERNETES_SERVICE_HOST");
  const std::string port = environment.Get("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return absl::FailedPreconditionError(
        "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  }
  ClusterAccess access;
  access.server = absl::StrContains(host, ":") ? absl::StrCat("https://[", host, "]:", port)
                                               : absl::StrCat("https://", host, ":", port);
  access.ca_file = absl::StrCat(kServiceAccountFolder, "/ca.crt");
  access.token_file = absl::StrCat(kServiceAccountFolder, "/token");
  access.cluster_name = "in-cluster";
  absl::StatusOr<SecretString> own_namespace = ReadFile(absl::StrCat(kServiceAccountFolder, "/namespace"));
  access.namespace_name = own_namespace.ok() ? std::string(own_namespace->Reveal()) : "default";
  return access;
}

absl::StatusOr<ClusterConnection> Connect(const ClusterAccess& access, const Environment& environment) {
  absl::StatusOr<std::string> ca = CaBundleOf(access);
  if (!ca.ok()) return ca.status();
  const absl::StatusOr<std::optional<ExecPlugin>> plugin = ExecPluginOf(access);
  if (!plugin.ok()) return plugin.status();
  ClusterAccess without_plugin = access;
  without_plugin.exec.reset();
  absl::StatusOr<ClientCredentials> credentials = CredentialsOf(without_plugin);
  if (!credentials.ok()) return credentials.status();
  const TransportMaker maker{.ca = *std::move(ca),
                             .certificate = std::move(credentials->certificate),
                             .key = std::move(credentials->key),
                             .options = {.server = access.server,
                                         .tls_server_name = access.tls_server_name,
                                         .insecure_skip_tls_verify = access.insecure_skip_tls_verify,
                                         .proxy_url = ProxyFor(access, environment)}};
  absl::StatusOr<std::unique_ptr<HttpTransport>> transport = maker.Make(std::move(credentials->authorization));
  if (!transport.ok()) return transport.status();
  ClusterConnection connection{.transport = *std::move(transport)};
  if (*plugin) {
    connection.transport = std::make_unique<ExecTransport>(
        std::move(connection.transport), [maker, plugin = **plugin] { return maker.LogIn(plugin); }, SystemClock());
  }
  connection.client = std::make_unique<Client>(*connection.transport);
  return connection;
}

std::string ProxyFor(const ClusterAccess& access, const Environment& environment) {
  if (!access.proxy_url.empty()) return access.proxy_url;
  std::string proxy = environment.Get("HTTPS_PROXY");
  if (proxy.empty()) proxy = environment.Get("https_proxy");
  std::string no_proxy = environment.Get("NO_PROXY");
  if (no_proxy.empty()) no_proxy = environment.Get("no_proxy");
  const absl::StatusOr<ServerUrl> server = ParseServerUrl(access.server, "the server");
  if (proxy.empty() || !server.ok() || BypassesProxy(*server, no_proxy)) return "";
  return absl::StrContains(proxy, "://") ? proxy : absl::StrCat("http://", proxy);
}

}  // namespace k8s
