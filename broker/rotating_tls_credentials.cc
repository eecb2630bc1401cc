#include "broker/rotating_tls_credentials.h"

#include <grpc/grpc.h>
#include <stdlib.h>

namespace broker {
namespace {

// Read by gRPC when it makes its first TLS context. Says nothing of TLS 1.3, which has suites of its own.
void OfferNoTls12() {
  setenv("GRPC_SSL_CIPHER_SUITES", "ECDHE-RSA-AES256-GCM-SHA384", /*overwrite=*/1);
}

}  // namespace

RotatingTlsCredentials::RotatingTlsCredentials() {
  OfferNoTls12();
  credentials_ =
      grpc_ssl_server_credentials_create_with_options(grpc_ssl_server_credentials_create_options_using_config_fetcher(
          GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, &Fetch, this));
}

RotatingTlsCredentials::~RotatingTlsCredentials() {
  grpc_server_credentials_release(credentials_);
}

void RotatingTlsCredentials::SetCertificate(const std::string& certificate, const k8s::SecretString& key) {
  std::lock_guard lock(mu_);
  certificate_ = certificate;
  key_ = key;
  is_new_ = true;
}

void RotatingTlsCredentials::SetCallFilter(grpc_auth_metadata_processor filter) {
  grpc_server_credentials_set_auth_metadata_processor(credentials_, filter);
}

int RotatingTlsCredentials::AddPortToServer(const std::string& address, grpc_server* server) {
  return grpc_server_add_http2_port(server, address.c_str(), credentials_);
}

// gRPC asks before each handshake.
grpc_ssl_certificate_config_reload_status RotatingTlsCredentials::Fetch(void* self,
                                                                        grpc_ssl_server_certificate_config** config) {
  auto& credentials = *static_cast<RotatingTlsCredentials*>(self);
  std::lock_guard lock(credentials.mu_);
  if (credentials.certificate_.empty()) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;
  if (!credentials.is_new_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  const std::string key(credentials.key_.Reveal());  // a copy that gRPC takes another of
  const grpc_ssl_pem_key_cert_pair pair{key.c_str(), credentials.certificate_.c_str()};
  // gRPC insists on roots for client certificates, although it asks no client for one.
  *config = grpc_ssl_server_certificate_config_create(pair.cert_chain, &pair, 1);
  credentials.is_new_ = false;
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

}  // namespace broker
