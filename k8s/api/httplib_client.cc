#include "k8s/api/httplib_client.h"

#include <netdb.h>

#include <optional>
#include <utility>

#include "k8s/core/server_url.h"

namespace k8s {
namespace {

// When a client first connects, httplib adds the system's roots to its store, unless it has a folder of others to add.
constexpr char kNoFolder[] = "/dev/null/none";

// A store of its own for each client, which takes it: httplib adds to it without a lock.
X509_STORE* CopyOf(const X509_STORE& roots) {
  X509_STORE* copy = X509_STORE_new();
  const STACK_OF(X509_OBJECT)* objects = X509_STORE_get0_objects(&roots);
  for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i) {
    if (X509* certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i)); certificate != nullptr) {
      X509_STORE_add_cert(copy, certificate);
    }
  }
  return copy;
}

// The first address of `host`, or "" if it has none.
std::string Resolve(const std::string& host) {
  const addrinfo hints{.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  char address[NI_MAXHOST] = "";
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) == 0) {
    getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof(address), nullptr, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
  }
  return address;
}

}  // namespace

absl::StatusOr<std::unique_ptr<httplib::ClientImpl>> MakeHttplibClient(const HttplibOptions& options) {
  const absl::StatusOr<ServerUrl> url = ParseServerUrl(options.server, "the server");
  if (!url.ok()) return url.status();
  const std::string& name = options.tls_server_name.empty() ? url->host : options.tls_server_name;
  if (name != url->host && !options.proxy_url.empty()) {
    // cpp-httplib would ask the proxy for the name, and not for where the server is.
    return absl::InvalidArgumentError(
        "a server with a tls-server-name cannot be reached through a proxy; name it in NO_PROXY, or use an address "
        "that "
        "its certificate is for");
  }
  std::unique_ptr<httplib::ClientImpl> client;
  if (url->tls) {
    auto tls =
        std::make_unique<httplib::SSLClient>(name, url->port, options.tls.certificate.get(), options.tls.key.get());
    if (options.tls.roots != nullptr) {
      tls->set_ca_cert_store(CopyOf(*options.tls.roots));
      tls->set_ca_cert_path("", kNoFolder);
    }
    tls->enable_server_certificate_verification(!options.insecure_skip_tls_verify);
    client = std::move(tls);
  } else {
    client = std::make_unique<httplib::ClientImpl>(name, url->port);
  }
  if (name != url->host) client->set_hostname_addr_map({{name, Resolve(url->host)}});
  if (!options.proxy_url.empty()) {
    const absl::StatusOr<ServerUrl> proxy = ParseServerUrl(options.proxy_url, "the proxy");
    if (!proxy.ok()) return proxy.status();
    client->set_proxy(proxy->host, proxy->port);
    if (const size_t colon = proxy->user_info.find(':'); !proxy->user_info.empty()) {
      client->set_proxy_basic_auth(proxy->user_info.substr(0, colon),
                                   colon == std::string::npos ? "" : proxy->user_info.substr(colon + 1));
    }
  }
  client->set_keep_alive(true);
  client->set_tcp_nodelay(true);
  client->set_url_encode(false);  // our paths are escaped already
  return client;
}

}  // namespace k8s
