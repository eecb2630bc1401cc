#ifndef BROKER_GRPC_SERVER_H_
#define BROKER_GRPC_SERVER_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "broker/config_service.h"
#include "broker/rotating_tls_credentials.h"

namespace broker {

// The gRPC server of the broker: ConfigService and grpc.health.v1, with every limit set that gRPC has. Borrows
// `service`.
class GrpcServer {
 public:
  // Callers authenticate again so often, and find their way to new replicas.
  static constexpr absl::Duration kMaxConnectionAge = absl::Minutes(10);

  // `address`: "host:port", "[v6]:port" or ":port"; port 0 takes a free one. Connections end after
  // `max_connection_age`, give or take a tenth (gRPC draws it). UNAVAILABLE: the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const std::string& address, ConfigService& service,
                                                           std::shared_ptr<RotatingTlsCredentials> credentials,
                                                           absl::Duration max_connection_age = kMaxConnectionAge);
  ~GrpcServer();  // ends all streams first; takes a second at most

  int port() const { return port_; }

 private:
  explicit GrpcServer(ConfigService& service) : service_(service) {}

  ConfigService& service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace broker

#endif  // BROKER_GRPC_SERVER_H_
