#ifndef BROKER_ROTATING_TLS_CREDENTIALS_H_
#define BROKER_ROTATING_TLS_CREDENTIALS_H_

#include <grpc/grpc_security.h>
#include <grpcpp/security/server_credentials.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "k8s/core/secret_string.h"

namespace broker {

// TLS for a gRPC server whose certificate changes while it runs: each new connection is shown the one that is current,
// and connections that are open stay. In memory only. Verifies no clients: they show tokens.
//
// TLS 1.3 only. gRPC 1.51 has no way to ask for that, so TLS 1.2 is offered with no suite but one of RSA certificates:
// SetCertificate() must be given others (ours are P-256).
//
// A fetcher of gRPC's C API, because the C++ API's one that changes reads files, each second, from a disk that the
// broker has none of. Thread-safe.
class RotatingTlsCredentials final : public grpc::ServerCredentials {
 public:
  RotatingTlsCredentials();
  ~RotatingTlsCredentials() override;

  // PEM. Must have been called before the server listens.
  void SetCertificate(const std::string& certificate, const k8s::SecretString& key);

  // Asked about each call of each connection, in the thread that reads it; see grpc_server_credentials. Before the
  // server starts.
  void SetCallFilter(grpc_auth_metadata_processor filter);

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override;
  static grpc_ssl_certificate_config_reload_status Fetch(void* self, grpc_ssl_server_certificate_config** config);

  std::mutex mu_;
  std::string certificate_;  // guarded by mu_
  k8s::SecretString key_;    // guarded by mu_
  bool is_new_ = false;      // guarded by mu_: gRPC has not fetched it
  grpc_server_credentials* credentials_;
};

}  // namespace broker

#endif  // BROKER_ROTATING_TLS_CREDENTIALS_H_
