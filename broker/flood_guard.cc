#include "broker/flood_guard.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/server_context.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "k8s/api/log.h"

namespace broker {
namespace {

// What we add to the properties that gRPC keeps of a connection: a number, the peer's name, and that we have reset it.
// They go with it.
constexpr char kConnectionProperty[] = "mcsa-connection";
constexpr char kPeerProperty[] = "mcsa-peer";
constexpr char kResetProperty[] = "mcsa-reset";
// A flood must not become one of the log.
constexpr absl::Duration kLogInterval = absl::Seconds(1);

std::string PropertyOf(const grpc_auth_context* connection, const char* name) {
  grpc_auth_property_iterator found = grpc_auth_context_find_properties_by_name(connection, name);
  const grpc_auth_property* const property = grpc_auth_property_iterator_next(&found);
  return property == nullptr ? "" : std::string(property->value, property->value_length);
}

// As gRPC names the peer of a connection; "" if `descriptor` is none of TCP.
std::string PeerOf(int descriptor) {
  sockaddr_in6 address{};
  socklen_t size = sizeof(address);
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  char text[INET6_ADDRSTRLEN] = "";
  if (address.sin6_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", ntohs(v4.sin_port));
  }
  if (address.sin6_family != AF_INET6) return "";
  if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr)) {
    inet_ntop(AF_INET, &address.sin6_addr.s6_addr[12], text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", ntohs(address.sin6_port));
  }
  inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof(text));
  return absl::StrCat("ipv6:%5B", text, "%5D:", ntohs(address.sin6_port));
}

}  // namespace

// Sees each call that was admitted; intercepts none.
class FloodGuard::Interceptors final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Interceptors(std::shared_ptr<FloodGuard> guard) : guard_(std::move(guard)) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* call) override {
    const auto connection = call->server_context()->auth_context();
    if (connection != nullptr) guard_->Introduce(*connection, call->server_context()->peer());
    return nullptr;
  }

 private:
  const std::shared_ptr<FloodGuard> guard_;
};

grpc_auth_metadata_processor FloodGuard::ProcessorOf(const std::shared_ptr<FloodGuard>& guard) {
  using Owner = std::shared_ptr<FloodGuard>;
  return {.process =
              [](void* state, grpc_auth_context* connection, const grpc_metadata*, size_t,
                 grpc_process_auth_metadata_done_cb done, void* call) {
                const bool admitted = (*static_cast<Owner*>(state))->Admit(connection);
                done(call, nullptr, 0, nullptr, 0, admitted ? GRPC_STATUS_OK : GRPC_STATUS_RESOURCE_EXHAUSTED,
                     admitted ? nullptr : "this connection makes too many calls; call again with back-off");
              },
          .destroy = [](void* state) { delete static_cast<Owner*>(state); },
          .state = new Owner(guard)};
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> FloodGuard::InterceptorsOf(
    std::shared_ptr<FloodGuard> guard) {
  return std::make_unique<Interceptors>(std::move(guard));
}

bool FloodGuard::Admit(grpc_auth_context* connection) {
  const absl::Duration now = clock_.Monotonic();
  std::string peer;
  {
    std::lock_guard lock(mu_);
    std::string id = PropertyOf(connection, kConnectionProperty);
    if (id.empty()) {
      id = absl::StrCat(++connections_);
      grpc_auth_context_add_cstring_property(connection, kConnectionProperty, id.c_str());
    }
    if (limits_.Admit(id, now).ok()) return true;
    peer = PropertyOf(connection, kPeerProperty);
    // Calls that were read before the reset still come.
    if (peer.empty() || !PropertyOf(connection, kResetProperty).empty()) return false;
  }
  if (!ResetConnection(peer)) return false;  // it looks at all descriptors, which holds up no other call
  std::lock_guard lock(mu_);
  grpc_auth_context_add_cstring_property(connection, kResetProperty, "true");
  if (now - logged_at_ >= kLogInterval) {
    logged_at_ = now;
    k8s::Log(k8s::LogLevel::kWarn, "a connection that makes too many calls is reset; others may follow unlogged",
             {{"peer", peer}});
  }
  return false;
}

void FloodGuard::Introduce(const grpc::AuthContext& connection, const std::string& peer) {
  std::lock_guard lock(mu_);
  if (!connection.FindPropertyValues(kPeerProperty).empty()) return;
  // gRPC hands out its connection's own context as constant, because it takes properties for a matter of handshakes.
  const_cast<grpc::AuthContext&>(connection).AddProperty(kPeerProperty, peer);
}

bool ResetConnection(const std::string& peer) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    int descriptor = -1;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &descriptor) || PeerOf(descriptor) != peer) continue;
    // gRPC may close it meanwhile, and open another of that number: what is reset is looked at once more.
    const int own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    const bool found = own >= 0 && PeerOf(own) == peer;
    const sockaddr none{.sa_family = AF_UNSPEC, .sa_data = {}};
    if (found) connect(own, &none, sizeof(none));  // where shutdown() would leave what was received
    if (own >= 0) close(own);
    return found;
  }
  return false;
}

}  // namespace broker
