#include "k8s/api/httplib_transport.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <httplib.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "k8s/api/clock.h"
#include "k8s/core/server_url.h"
#include "k8s/core/version.h"

namespace k8s {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(5);
constexpr absl::Duration kWatchInterval = absl::Milliseconds(200);
// More than the workers of one source need at once; the rest are closed after use.
constexpr size_t kMaxIdleConnections = 16;

absl::Time ParseDate(const std::string& text) {
  absl::Time time;
  return absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", text, &time, nullptr) ? time : absl::InfinitePast();
}

std::string Describe(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
      return "connection refused or name not found";
    case httplib::Error::ConnectionTimeout:
      return "no answer to the connection attempt";
    case httplib::Error::SSLConnection:
      return "TLS handshake failed";
    case httplib::Error::SSLServerVerification:
      return "the server's certificate is not signed by the CA we know";
    case httplib::Error::SSLServerHostnameVerification:
      return "the server's certificate is not for this name";
    case httplib::Error::Read:
      return "the connection broke while reading";
    case httplib::Error::Write:
      return "the connection broke while writing";
    case httplib::Error::ProxyConnection:
      return "the proxy refused the connection";
    default:
      return httplib::to_string(error);
  }
}

}  // namespace

// Ends exchanges that are over while httplib blocks in a read: only stop(), from another thread, does that. A server
// that sends a header byte by byte would else hold a thread for days, since each byte begins the read timeout anew.
class HttplibTransport::Watchdog {
 public:
  Watchdog() : thread_([this] { Loop(); }) {}
  ~Watchdog() {
    {
      std::lock_guard lock(mu_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  // While it lives, `client` is stopped whenever `is_over` says so; again and again, because a stop() between two of
  // httplib's steps is lost. Both are used from another thread.
  class Guard {
   public:
    Guard(Watchdog& watchdog, httplib::ClientImpl& client, std::function<bool()> is_over) : watchdog_(watchdog) {
      std::lock_guard lock(watchdog_.mu_);
      watched_ = watchdog_.watched_.insert(watchdog_.watched_.end(), {&client, std::move(is_over)});
      watchdog_.wake_.notify_all();
    }
    ~Guard() {
      std::lock_guard lock(watchdog_.mu_);
      watchdog_.watched_.erase(watched_);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Watchdog& watchdog_;
    std::list<std::pair<httplib::ClientImpl*, std::function<bool()>>>::iterator watched_;
  };

 private:
  void Loop() {
    std::unique_lock lock(mu_);
    while (!stopping_) {
      if (watched_.empty()) {
        wake_.wait(lock);
        continue;
      }
      for (auto& [client, is_over] : watched_) {
        if (is_over()) client->stop();
      }
      wake_.wait_for(lock, absl::ToChronoMilliseconds(kWatchInterval), [this] { return stopping_; });
    }
  }

  std::mutex mu_;
  std::condition_variable wake_;
  bool stopping_ = false;                                                      // guarded by mu_
  std::list<std::pair<httplib::ClientImpl*, std::function<bool()>>> watched_;  // guarded by mu_
  std::thread thread_;
};

struct HttplibTransport::Pool {
  HttplibOptions options;
  ServerUrl url;
  std::unique_ptr<CredentialSource> credential;
  std::mutex mu;
  std::vector<std::unique_ptr<httplib::ClientImpl>> idle;  // guarded by mu
  Watchdog watchdog;

  std::string where() const { return HostAndPort(url); }

  std::unique_ptr<httplib::ClientImpl> Take();
  void GiveBack(std::unique_ptr<httplib::ClientImpl> client);
  absl::StatusOr<HttpResponse> Exchange(const HttpRequest& request, const SecretString& authorization,
                                        absl::Duration read_timeout, const StreamCanceller* canceller,
                                        const std::function<bool(std::string_view)>* on_data);
  absl::StatusOr<HttpResponse> ExchangeWithCredential(const HttpRequest& request, absl::Duration read_timeout,
                                                      const StreamCanceller* canceller,
                                                      const std::function<bool(std::string_view)>* on_data);
};

std::unique_ptr<httplib::ClientImpl> HttplibTransport::Pool::Take() {
  std::lock_guard lock(mu);
  if (idle.empty()) return nullptr;
  std::unique_ptr<httplib::ClientImpl> client = std::move(idle.back());
  idle.pop_back();
  return client;
}

void HttplibTransport::Pool::GiveBack(std::unique_ptr<httplib::ClientImpl> client) {
  std::lock_guard lock(mu);
  if (idle.size() < kMaxIdleConnections) idle.push_back(std::move(client));
}

absl::StatusOr<HttpResponse> HttplibTransport::Pool::Exchange(const HttpRequest& request,
                                                              const SecretString& authorization,
                                                              absl::Duration read_timeout,
                                                              const StreamCanceller* canceller,
                                                              const std::function<bool(std::string_view)>* on_data) {
  httplib::Request http;
  http.method = request.method;
  http.path = url.path + request.path;
  http.headers = {{"Host", where()}, {"Accept", request.accept}, {"User-Agent", absl::StrCat("mcsa/", kVersion)}};
  if (!request.content_type.empty()) http.headers.emplace("Content-Type", request.content_type);
  if (!authorization.empty()) http.headers.emplace("Authorization", authorization.Reveal());
  http.body = request.body.Reveal();

  HttpResponse response;
  std::string body;
  bool too_large = false;
  bool ended_by_caller = false;
  std::atomic<bool> has_head = false;
  const absl::Duration started = SystemClock().Monotonic();
  absl::Duration heard = started;  // of a stream: when something came last
  http.response_handler = [&](const httplib::Response& head) {
    has_head = true;
    heard = SystemClock().Monotonic();
    response.status = head.status;
    response.date = ParseDate(head.get_header_value("Date"));
    int64_t seconds = 0;
    if (absl::SimpleAtoi(head.get_header_value("Retry-After"), &seconds)) response.retry_after = absl::Seconds(seconds);
    if (on_data != nullptr && request.on_head) request.on_head(response);
    return true;
  };
  http.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    if (on_data != nullptr && response.status == 200) {
      heard = SystemClock().Monotonic();
      ended_by_caller = !(*on_data)({data, size});
      return !ended_by_caller;
    }
    // A server that sends a byte at a time resets the read timeout each time, so the whole is bounded here.
    too_large = body.size() + size > request.max_response_bytes;
    if (too_large || SystemClock().Monotonic() - started > request.timeout) return false;
    body.append(data, size);
    return true;
  };

  std::unique_ptr<httplib::ClientImpl> client = Take();
  if (client == nullptr) {
    absl::StatusOr<std::unique_ptr<httplib::ClientImpl>> made = MakeHttplibClient(options);
    if (!made.ok()) return made.status();
    client = *std::move(made);
  }
  client->set_connection_timeout(absl::ToChronoMicroseconds(std::min(kConnectTimeout, request.timeout)));
  client->set_read_timeout(absl::ToChronoMicroseconds(read_timeout));
  client->set_write_timeout(absl::ToChronoMicroseconds(request.timeout));

  httplib::Response http_response;
  httplib::Error error = httplib::Error::Success;
  bool ok = false;
  {
    const Watchdog::Guard guard(watchdog, *client, [&] {
      if (canceller != nullptr && canceller->Cancelled()) return true;
      return (canceller == nullptr || !has_head) && SystemClock().Monotonic() - started > request.timeout;
    });
    ok = client->send(http, http_response, error);
  }
  OPENSSL_cleanse(http.body.data(), http.body.size());
  for (auto& [name, value] : http.headers) {
    if (name == "Authorization") OPENSSL_cleanse(value.data(), value.size());
  }

  const std::string to = absl::StrCat(request.method, " to ", where(), " failed: ");
  if (ok) {
    GiveBack(std::move(client));
    response.status = http_response.status;
    response.body = SecretString(body);
    OPENSSL_cleanse(body.data(), body.size());
    return response;
  }
  if (ended_by_caller) return response;
  if (too_large)
    return absl::ResourceExhaustedError(
        absl::StrCat(to, "the answer is larger than ", request.max_response_bytes, " bytes"));
  if (canceller != nullptr && canceller->Cancelled()) return absl::CancelledError("cancelled");
  const absl::Duration now = SystemClock().Monotonic();
  if (on_data != nullptr && response.status == 200) {
    if (now - heard < read_timeout) return absl::AbortedError(absl::StrCat(to, Describe(error)));
    return absl::DeadlineExceededError(absl::StrCat(to, "silence for ", absl::FormatDuration(read_timeout)));
  }
  const absl::Duration limit = std::min(read_timeout, request.timeout);
  if (error == httplib::Error::ConnectionTimeout ||
      (error == httplib::Error::Connection && now - started >= kConnectTimeout) || now - started >= limit) {
    return absl::DeadlineExceededError(absl::StrCat(to, "no answer in time (", absl::FormatDuration(limit), ")"));
  }
  return absl::UnavailableError(absl::StrCat(to, Describe(error)));
}

absl::StatusOr<HttpResponse> HttplibTransport::Pool::ExchangeWithCredential(
    const HttpRequest& request, absl::Duration read_timeout, const StreamCanceller* canceller,
    const std::function<bool(std::string_view)>* on_data) {
  if (request.bearer) {
    return Exchange(request, BearerAuthorization(*request.bearer), read_timeout, canceller, on_data);
  }
  absl::StatusOr<SecretString> authorization = credential->Authorization();
  if (!authorization.ok()) return authorization.status();
  absl::StatusOr<HttpResponse> response = Exchange(request, *authorization, read_timeout, canceller, on_data);
  if (!response.ok() || response->status != 401 || !credential->Invalidate()) return response;
  authorization = credential->Authorization();
  if (!authorization.ok()) return authorization.status();
  return Exchange(request, *authorization, read_timeout, canceller, on_data);
}

HttplibTransport::HttplibTransport(std::unique_ptr<Pool> pool) : pool_(std::move(pool)) {}
HttplibTransport::~HttplibTransport() = default;

absl::StatusOr<std::unique_ptr<HttplibTransport>> HttplibTransport::Create(
    HttplibOptions options, std::unique_ptr<CredentialSource> credential) {
  auto pool = std::make_unique<Pool>();
  absl::StatusOr<std::unique_ptr<httplib::ClientImpl>> first = MakeHttplibClient(options);
  if (!first.ok()) return first.status();
  pool->idle.push_back(*std::move(first));
  pool->url = *ParseServerUrl(options.server, "the server");
  pool->options = std::move(options);
  pool->credential = std::move(credential);
  return std::unique_ptr<HttplibTransport>(new HttplibTransport(std::move(pool)));
}

absl::StatusOr<HttpResponse> HttplibTransport::Send(const HttpRequest& request) {
  return pool_->ExchangeWithCredential(request, request.timeout, nullptr, nullptr);
}

absl::StatusOr<HttpResponse> HttplibTransport::Stream(const HttpRequest& request, absl::Duration idle_timeout,
                                                      const StreamCanceller& canceller,
                                                      const std::function<bool(std::string_view)>& on_data) {
  return pool_->ExchangeWithCredential(request, idle_timeout, &canceller, &on_data);
}

}  // namespace k8s
