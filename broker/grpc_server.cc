#include "broker/grpc_server.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>
#include <utility>
#include <vector>

#include "broker/flood_guard.h"
#include "k8s/api/clock.h"

namespace broker {
namespace {

constexpr int kSecond = 1000;  // gRPC's arguments are in milliseconds

void SetLimits(grpc::ServerBuilder& builder, absl::Duration max_connection_age) {
  // A request is a handful of names; metadata is a token of about 1 KB, and has 4 KB as projected into no pod so far.
  builder.SetMaxReceiveMessageSize(64 << 10);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 16);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10 * kSecond);
  // Streams get hardly any grace: their clients open another at once.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             static_cast<int>(absl::ToInt64Milliseconds(max_connection_age)));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 1 * kSecond);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 60 * kSecond);
  // A peer that vanished is noticed within half a minute; one that pings is welcome to do so every 5 s.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20 * kSecond);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10 * kSecond);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5 * kSecond);
  // Two replicas on one address would share its connections by chance.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Debugging aids that cost memory for each connection.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const std::string& address, ConfigService& service,
                                                              std::shared_ptr<RotatingTlsCredentials> credentials,
                                                              absl::Duration max_connection_age) {
  std::unique_ptr<GrpcServer> started(new GrpcServer(service));
  const auto guard = std::make_shared<FloodGuard>(k8s::SystemClock());
  credentials->SetCallFilter(FloodGuard::ProcessorOf(guard));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  SetLimits(builder, max_connection_age);
  builder.AddListeningPort(address.front() == ':' ? absl::StrCat("[::]", address) : address, std::move(credentials),
                           &started->port_);
  builder.RegisterService(&service);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(FloodGuard::InterceptorsOf(guard));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  started->server_ = builder.BuildAndStart();
  if (started->server_ == nullptr || started->port_ == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address));
  }
  return started;
}

GrpcServer::~GrpcServer() {
  if (server_ == nullptr) return;
  service_.Stop();
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
}

}  // namespace broker
