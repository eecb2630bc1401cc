#include "k8s/api/http_server.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <exception>
#include <list>
#include <sstream>
#include <thread>
#include <utility>

namespace k8s {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using SteadyClock = std::chrono::steady_clock;
using TlsStream = asio::ssl::stream<beast::tcp_stream&>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kFirstRead = 4096;
constexpr size_t kSmallBody = 64 << 10;                       // all connections with such a one are still no burden
constexpr auto kAcceptPause = std::chrono::milliseconds(20);  // after "too many open files"

SteadyClock::duration ToChrono(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

// HTTP/1.1 is all we speak; a client that offers only others goes on without ALPN.
int SelectAlpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned int in_size,
               void*) {
  static constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  const int selected =
      SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, kHttp11, sizeof(kHttp11), in, in_size);
  return selected == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

absl::StatusOr<std::shared_ptr<asio::ssl::context>> BuildContext(const CertificateAndKey& certificate,
                                                                 const std::string& client_ca) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);  // an idle connection keeps no 32 KiB
  // No resumption: a new certificate, or the end of a client's, counts from the next connection on.
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_alpn_select_cb(native, &SelectAlpn, nullptr);
  boost::system::error_code error;
  context->use_certificate_chain(asio::buffer(certificate.certificate), error);
  const std::string_view key = certificate.key.Reveal();
  if (!error) context->use_private_key(asio::buffer(key.data(), key.size()), asio::ssl::context::pem, error);
  if (error || SSL_CTX_check_private_key(native) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("the server's certificate and key are malformed, or do not belong together");
  }
  if (!client_ca.empty()) {
    context->add_certificate_authority(asio::buffer(client_ca), error);
    if (error) {
      ERR_clear_error();
      return absl::InvalidArgumentError("the CA of the clients holds no PEM certificate");
    }
    context->set_verify_mode(asio::ssl::verify_peer, error);
  }
  return context;
}

absl::StatusOr<tcp::endpoint> ParseAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is no host:port"));
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  // Both families, where the node has both.
  if (host.empty()) return tcp::endpoint(tcp::v6(), static_cast<uint16_t>(port));
  boost::system::error_code error;
  const asio::ip::address parsed = asio::ip::make_address(host, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("\"", host, "\" is no IP address"));
  return tcp::endpoint(parsed, static_cast<uint16_t>(port));
}

// What a client hears when its request cannot be read; 0: nothing, it is gone or too slow.
unsigned StatusOfReadError(const boost::system::error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  return error.category() == http::make_error_code(http::error::bad_method).category() ? 400 : 0;
}

class Server final : public HttpServer {
 public:
  Server(const HttpServerOptions& options, Handler handler)
      : options_(options), handler_(std::move(handler)), pool_(options.handler_threads), acceptor_(io_) {}

  ~Server() override {
    asio::post(io_, [this] {
      acceptor_.close();
      for (Connection& connection : connections_) Close(connection);
    });
    if (thread_.joinable()) thread_.join();
    pool_.join();
    large_bodies_.join();
  }

  absl::Status Listen() {
    absl::StatusOr<tcp::endpoint> endpoint = ParseAddress(options_.address);
    if (!endpoint.ok()) return endpoint.status();
    boost::system::error_code error;
    acceptor_.open(endpoint->protocol(), error);
    if (error == asio::error::address_family_not_supported && options_.address.front() == ':') {
      // A node that was booted with ipv6.disable=1.
      *endpoint = tcp::endpoint(tcp::v4(), endpoint->port());
      acceptor_.open(endpoint->protocol(), error);
    }
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && endpoint->address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false), error);
    if (!error) acceptor_.bind(*endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error)
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.address, ": ", error.message()));
    acceptor_endpoint_ = acceptor_.local_endpoint();
    port_ = acceptor_endpoint_.port();
    asio::co_spawn(io_, Accept(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  std::string local_address() const override {
    tcp::endpoint endpoint = acceptor_endpoint_;
    if (endpoint.address().is_unspecified()) endpoint.address(asio::ip::address_v4::loopback());
    return (std::ostringstream() << endpoint).str();
  }

  absl::Status SetCertificate(const CertificateAndKey& certificate) override {
    auto context = BuildContext(certificate, options_.client_ca);
    if (!context.ok()) return context.status();
    asio::post(io_, [this, context = *std::move(context)] { context_ = context; });
    return absl::OkStatus();
  }

  void Drain() override {
    asio::post(io_, [this] {
      draining_ = true;
      for (Connection& connection : connections_) {
        if (connection.state == State::kIdle) Close(connection);
      }
    });
  }

  Stats stats() const override { return {.connections = open_, .evicted = evicted_}; }

 private:
  // In the order in which they are evicted; who is worked for is not.
  enum class State { kLeaving, kIdle, kReading, kWriting, kWorking };

  struct Connection {
    beast::tcp_stream& stream;
    State state = State::kReading;
    SteadyClock::time_point since = SteadyClock::now();
    size_t buffered = 0;
    bool closing = false;

    void Enter(State next) {
      state = next;
      since = SteadyClock::now();
    }
  };

  // Ends whatever its coroutine waits for.
  void Close(Connection& connection) {
    connection.closing = true;
    connection.stream.close();
  }

  void Evict(Connection& connection) {
    Close(connection);
    ++evicted_;
  }

  // Whether there is room for one more connection.
  bool MakeRoom() {
    const auto open = std::count_if(connections_.begin(), connections_.end(), [](const auto& c) { return !c.closing; });
    if (static_cast<size_t>(open) < options_.max_connections) return true;
    const auto key = [](const Connection& c) { return std::tuple(c.closing, c.state, c.since); };
    const auto victim = std::min_element(connections_.begin(), connections_.end(),
                                         [&](const auto& a, const auto& b) { return key(a) < key(b); });
    if (victim->state == State::kWorking) return false;
    Evict(*victim);
    return true;
  }

  // Counts what a body has grown to. The largest that is still being sent pays when all together are too many bytes;
  // one that is worked on would free nothing before its handler ends.
  void Account(Connection& connection, size_t buffered) {
    buffered_ += buffered - connection.buffered;
    connection.buffered = buffered;
    if (buffered_ <= options_.max_buffered_bytes) return;
    const auto size = [](const Connection& c) { return c.closing || c.state != State::kReading ? 0 : c.buffered; };
    const auto largest = std::max_element(connections_.begin(), connections_.end(),
                                          [&](const auto& a, const auto& b) { return size(a) < size(b); });
    if (size(*largest) > kSmallBody) Evict(*largest);
  }

  asio::awaitable<void> Accept() {
    asio::steady_timer pause(io_);
    while (acceptor_.is_open()) {
      auto [error, socket] = co_await acceptor_.async_accept(kTuple);
      if (error) {
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(kTuple);
        continue;
      }
      if (MakeRoom()) {
        asio::co_spawn(io_, Serve(std::move(socket)), asio::detached);
      } else {
        ++evicted_;  // all are worked for: the new one goes
      }
    }
  }

  asio::awaitable<void> Serve(tcp::socket socket) {
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    beast::tcp_stream stream(std::move(socket));
    const auto place = connections_.emplace(connections_.end(), Connection{.stream = stream});
    ++open_;
    try {
      if (options_.tls) {
        co_await ServeTls(stream, *place);
      } else {
        co_await Talk(stream, *place, /*verified_client=*/false);
      }
    } catch (const std::exception&) {
      // Out of memory, at worst: this connection ends, the server goes on.
    }
    buffered_ -= place->buffered;
    connections_.erase(place);
    --open_;
  }

  asio::awaitable<void> ServeTls(beast::tcp_stream& stream, Connection& connection) {
    const std::shared_ptr<asio::ssl::context> context = context_;
    if (context == nullptr) co_return;
    TlsStream tls(stream, *context);
    stream.expires_after(ToChrono(options_.handshake_timeout));
    const auto [error] = co_await tls.async_handshake(asio::ssl::stream_base::server, kTuple);
    if (error) co_return;
    const bool verified = SSL_get0_peer_certificate(tls.native_handle()) != nullptr &&
                          SSL_get_verify_result(tls.native_handle()) == X509_V_OK;
    co_await Talk(tls, connection, verified);
    if (connection.closing) co_return;
    connection.Enter(State::kLeaving);  // the client may take its time to say that it has heard
    stream.expires_after(ToChrono(options_.handshake_timeout));
    co_await tls.async_shutdown(kTuple);
  }

  template <typename Stream>
  asio::awaitable<void> Talk(Stream& stream, Connection& connection, bool verified_client) {
    beast::tcp_stream& socket = connection.stream;
    beast::flat_buffer buffer(2 * options_.max_header_bytes);
    for (bool keep_alive = true; keep_alive && !connection.closing;) {
      if (buffer.size() == 0) {
        connection.Enter(State::kIdle);
        socket.expires_after(ToChrono(options_.idle_timeout));
        const auto [error, size] = co_await stream.async_read_some(buffer.prepare(kFirstRead), kTuple);
        if (error) co_return;
        buffer.commit(size);
      }
      connection.Enter(State::kReading);
      socket.expires_after(ToChrono(options_.request_timeout));
      http::request_parser<http::string_body> parser;
      parser.header_limit(static_cast<uint32_t>(options_.max_header_bytes));
      parser.body_limit(options_.max_body_bytes);
      boost::system::error_code error;
      while (!parser.is_done() && !error) {
        std::tie(error, std::ignore) = co_await http::async_read_some(stream, buffer, parser, kTuple);
        Account(connection, parser.get().body().size());
      }
      ServerResponse answer;
      if (error) {
        answer = {.status = static_cast<int>(StatusOfReadError(error))};
        if (answer.status == 0) co_return;
        answer.body = "the request is malformed or too large\n";
        keep_alive = false;
      } else {
        keep_alive = parser.get().keep_alive();
        answer = co_await Handle(connection, parser.release(), verified_client);
      }
      Account(connection, 0);
      http::response<http::string_body> response(static_cast<http::status>(answer.status), 11);
      response.set(http::field::content_type, answer.content_type);
      response.body() = std::move(answer.body);
      keep_alive = keep_alive && !draining_;
      response.keep_alive(keep_alive);
      response.prepare_payload();
      connection.Enter(State::kWriting);
      socket.expires_after(ToChrono(options_.request_timeout));
      std::tie(error, std::ignore) = co_await http::async_write(stream, response, kTuple);
      if (error || draining_) co_return;  // Drain() came during the write, and closed only who was idle
    }
  }

  asio::awaitable<ServerResponse> Handle(Connection& connection, http::request<http::string_body> message,
                                         bool verified_client) {
    connection.Enter(State::kWorking);
    connection.stream.expires_never();
    const auto target = message.target();
    ServerRequest request{.method = std::string(message.method_string()),
                          .path = std::string(target.substr(0, target.find('?'))),
                          .body = std::move(message.body()),
                          .verified_client = verified_client};
    // One wake-up there and one back; a coroutine in the pool would take three more.
    co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(ServerResponse)>(
        [this, &request](auto done) {
          auto work = [this, &request, done = std::move(done), guard = asio::make_work_guard(io_)]() mutable {
            asio::post(io_, [done = std::move(done), answer = Answer(request)]() mutable {
              std::move(done)(std::move(answer));
            });
          };
          asio::post(request.body.size() > kSmallBody ? large_bodies_ : pool_, std::move(work));
        },
        asio::use_awaitable);
  }

  ServerResponse Answer(const ServerRequest& request) const {
    try {
      return handler_(request);
    } catch (const std::exception&) {
      return {.status = 500, .body = "internal error\n"};
    }
  }

  const HttpServerOptions options_;
  const Handler handler_;
  int port_ = 0;
  tcp::endpoint acceptor_endpoint_;
  std::atomic<size_t> open_ = 0;
  std::atomic<size_t> evicted_ = 0;

  asio::thread_pool pool_;
  // A thread of its own and no strand of the pool: malloc keeps for each thread what it has needed at most.
  asio::thread_pool large_bodies_{1};
  asio::io_context io_{1};
  // Below only in the I/O thread.
  tcp::acceptor acceptor_;
  std::shared_ptr<asio::ssl::context> context_;
  std::list<Connection> connections_;
  size_t buffered_ = 0;
  bool draining_ = false;

  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options, Handler handler) {
  auto server = std::make_unique<Server>(options, std::move(handler));
  if (absl::Status status = server->Listen(); !status.ok()) return status;
  return server;
}

}  // namespace k8s
