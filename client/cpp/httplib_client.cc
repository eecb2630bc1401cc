#include "client/cpp/httplib_client.h"

#include <absl/strings/match.h>

#include <utility>

#include "k8s/api/httplib_client.h"
#include "k8s/api/tls_context.h"
#include "k8s/core/server_url.h"

namespace mcsa {
namespace {

// Whether a head that is being written asks a proxy for a tunnel. It goes there in clear text.
bool IsForProxy(const httplib::Stream& head) {
  const auto* buffer = dynamic_cast<const httplib::detail::BufferStream*>(&head);
  return buffer == nullptr || absl::StartsWith(buffer->get_buffer(), "CONNECT ");
}

}  // namespace

absl::StatusOr<HttplibClient> MakeHttplibClient(const RemoteConfig& config) {
  absl::StatusOr<ConfigSnapshot> current = config.Current();
  if (!current.ok()) return current.status();
  const k8s::ClusterAccess& access = **current;
  absl::StatusOr<k8s::TlsContext> tls =
      k8s::BuildTlsContext(access.ca_data, access.client_certificate_data, access.client_key_data);
  if (!tls.ok()) return tls.status();
  absl::StatusOr<std::unique_ptr<httplib::ClientImpl>> client =
      k8s::MakeHttplibClient({.server = access.server,
                              .tls_server_name = access.tls_server_name,
                              .tls = *std::move(tls),
                              .insecure_skip_tls_verify = access.insecure_skip_tls_verify,
                              .proxy_url = access.proxy_url});
  if (!client.ok()) return client.status();
  (*client)->set_header_writer([config](httplib::Stream& stream, httplib::Headers& headers) {
    httplib::Headers all = headers;
    if (const auto authorization = config.Authorization();
        authorization.ok() && !authorization->empty() && !all.contains("Authorization") && !IsForProxy(stream)) {
      all.emplace("Authorization", authorization->Reveal());
    }
    return httplib::detail::write_headers(stream, all);
  });
  return HttplibClient{.client = *std::move(client),
                       .base_path = k8s::ParseServerUrl(access.server, "the server")->path};
}

}  // namespace mcsa
