#include "sidecar/broker_stream.h"

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netdb.h>

#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "k8s/api/read_file.h"
#include "k8s/core/names.h"
#include "mcsa/v1/config_service.grpc.pb.h"
#include "sidecar/reconnect.h"

namespace sidecar {
namespace {

using ::mcsa::v1::ConfigService;
using ::mcsa::v1::WatchConfigsRequest;
using ::mcsa::v1::WatchConfigsResponse;

// A peer that answers no ping for so long is gone, though its connection never closed.
constexpr int kKeepaliveMs = 10'000;
constexpr int kKeepaliveTimeoutMs = 5'000;
// Of each address: a replica whose node is gone must not keep us from the next one.
constexpr int kConnectTimeoutMs = 1'500;

// "ipv4:10.0.0.1:9443" of each address of "host:port", as gRPC names them.
absl::StatusOr<std::vector<std::string>> Resolve(const std::string& broker) {
  const size_t colon = broker.rfind(':');
  std::string host = broker.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const addrinfo hints{.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.c_str(), broker.substr(colon + 1).c_str(), &hints, &list);
  if (error != 0) return absl::UnavailableError(absl::StrCat("cannot resolve ", host, ": ", gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, &freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    char text[INET6_ADDRSTRLEN] = "";
    if (entry->ai_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ai_addr);
      inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text));
      addresses.push_back(absl::StrCat("ipv4:", text, ":", ntohs(address->sin_port)));
    } else if (entry->ai_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(entry->ai_addr);
      inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof(text));
      addresses.push_back(absl::StrCat("ipv6:[", text, "]:", ntohs(address->sin6_port)));
    }
  }
  if (addresses.empty()) return absl::UnavailableError(absl::StrCat(host, " has no address"));
  return addresses;
}

// One gRPC target of several addresses, which are tried in this order. A target is of one family, the first one's.
std::string TargetOf(const std::vector<std::string>& addresses) {
  constexpr size_t kScheme = 5;  // "ipv4:"
  const std::string scheme = addresses.front().substr(0, kScheme);
  std::vector<std::string> same;
  for (const std::string& address : addresses) {
    if (address.starts_with(scheme)) same.push_back(address.substr(kScheme));
  }
  return scheme + absl::StrJoin(same, ",");
}

// One stream after the other, for ever. Between two of them it has a thread, which waits and blocks in the resolver;
// the stream itself lives on gRPC's threads.
class BrokerStream : private grpc::ClientReadReactor<WatchConfigsResponse> {
 public:
  BrokerStream(BrokerStreamOptions options, BrokerStreamCallbacks callbacks)
      : options_(std::move(options)), callbacks_(std::move(callbacks)), rng_(std::random_device()()) {
    for (const std::string& import : options_.imports) request_.add_names(import);
  }

  void OpenAfter(absl::Duration delay) {
    std::thread([this, delay] {
      absl::SleepFor(delay);
      for (absl::Status status = Open(); !status.ok(); status = Open()) {
        callbacks_.on_down(std::move(status));
        absl::SleepFor(ReconnectDelay(++failures_, rng_));
      }
    }).detach();
  }

 private:
  absl::Status Open() {
    const std::string& directory = options_.credentials_directory;
    const absl::StatusOr<k8s::SecretString> token = k8s::ReadFile(absl::StrCat(directory, "/", k8s::kTokenKey));
    if (!token.ok()) return token.status();
    const absl::StatusOr<k8s::SecretString> ca = k8s::ReadFile(absl::StrCat(directory, "/", k8s::kCaKey));
    if (!ca.ok()) {
      return absl::Status(ca.status().code(),
                          absl::StrCat(std::string(ca.status().message()), "; the broker keeps it in ConfigMap ",
                                       k8s::kBrokerCaConfigMap));
    }
    absl::StatusOr<std::vector<std::string>> addresses = Resolve(options_.broker);
    if (!addresses.ok()) return addresses.status();
    const std::string target = TargetOf(OrderAddresses(*std::move(addresses), last_, rng_));
    stub_ = ConfigService::NewStub(Connect(target, std::string(ca->Reveal())));
    context_ = std::make_unique<grpc::ClientContext>();
    context_->AddMetadata("authorization", absl::StrCat("Bearer ", std::string(token->Reveal())));
    stub_->async()->WatchConfigs(context_.get(), &request_, this);
    StartRead(&response_);
    StartCall();
    return absl::OkStatus();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;  // OnDone follows
    served_ = true;
    // gRPC writes an IPv6 address's brackets as in a URL.
    last_ = absl::StrReplaceAll(context_->peer(), {{"%5B", "["}, {"%5D", "]"}});
    callbacks_.on_message(std::move(response_));
    response_.Clear();
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    // The code says what to do, for the log's reader too; the broker's own words follow.
    callbacks_.on_down(
        absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                     absl::StrCat("the stream to ", options_.broker, " ended: ", status.error_message())));
    failures_ = served_ ? 0 : failures_ + 1;
    served_ = false;
    OpenAfter(ReconnectDelay(failures_, rng_));
  }

  std::shared_ptr<grpc::Channel> Connect(const std::string& target, std::string ca) const {
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride(options_.broker.substr(0, options_.broker.rfind(':')));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
    // Each stream has a connection of its own, made with the CA of today; retries are ours.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    return grpc::CreateCustomChannel(target, grpc::SslCredentials({.pem_root_certs = std::move(ca)}), arguments);
  }

  const BrokerStreamOptions options_;
  const BrokerStreamCallbacks callbacks_;
  WatchConfigsRequest request_;
  // No two threads are ever between two streams, or in two callbacks, at once: what follows needs no lock.
  std::mt19937_64 rng_;
  int failures_ = 0;     // since the last stream that brought something
  bool served_ = false;  // whether this one did
  std::string last_;     // the address that served last, as gRPC names it
  std::unique_ptr<ConfigService::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  WatchConfigsResponse response_;
};

}  // namespace

void StartBrokerStream(BrokerStreamOptions options, BrokerStreamCallbacks callbacks) {
  auto* const stream = new BrokerStream(std::move(options), std::move(callbacks));  // never ends
  stream->OpenAfter(absl::ZeroDuration());
}

}  // namespace sidecar
