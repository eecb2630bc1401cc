#include "broker/http_endpoints.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <httplib.h>

#include <thread>
#include <utility>

namespace broker {
namespace {

constexpr size_t kThreads = 2;
constexpr size_t kMaxQueued = 16;
constexpr time_t kTimeoutSeconds = 5;
constexpr size_t kMaxBodyBytes = 1024;

class Server final : public HttpEndpoints {
 public:
  Server(std::function<std::string()> metrics, std::function<bool()> ready) {
    // httplib's own limits would let a few idle connections hold all threads.
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads, kMaxQueued); };
    server_.set_keep_alive_max_count(1);
    server_.set_read_timeout(kTimeoutSeconds);
    server_.set_write_timeout(kTimeoutSeconds);
    server_.set_payload_max_length(kMaxBodyBytes);
    server_.Get("/metrics", [metrics = std::move(metrics)](const httplib::Request&, httplib::Response& response) {
      response.set_content(metrics(), "text/plain; version=0.0.4");
    });
    server_.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("ok\n", "text/plain");
    });
    server_.Get("/readyz", [ready = std::move(ready)](const httplib::Request&, httplib::Response& response) {
      const bool is_ready = ready();
      response.status = is_ready ? 200 : 503;
      response.set_content(is_ready ? "ok\n" : "starting\n", "text/plain");
    });
  }

  ~Server() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  bool Bind(const std::string& host, int port) {
    port_ = port == 0 ? server_.bind_to_any_port(host) : (server_.bind_to_port(host, port) ? port : -1);
    if (port_ <= 0) return false;
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
    return true;
  }

  int port() const override { return port_; }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpEndpoints>> HttpEndpoints::Start(const std::string& address,
                                                                    std::function<std::string()> metrics,
                                                                    std::function<bool()> ready) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is no host:port"));
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  if (host.empty()) host = "::";
  auto server = std::make_unique<Server>(std::move(metrics), std::move(ready));
  if (!server->Bind(host, port)) return absl::UnavailableError(absl::StrCat("cannot listen on ", address));
  return server;
}

}  // namespace broker
