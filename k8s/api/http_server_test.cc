#include "k8s/api/http_server.h"

#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <fstream>
#include <future>
#include <latch>
#include <list>
#include <thread>
#include <vector>

#include "k8s/api/credential_source.h"
#include "k8s/api/httplib_transport.h"

namespace k8s {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A client that does as it likes.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{.tv_sec = 20};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;

  // Whether all of it was taken.
  bool Send(const std::string& text) {
    return send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  // What comes until the server closes, or "timeout".
  std::string ReadAll() {
    std::string all;
    char buffer[4096];
    for (;;) {
      const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
      if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return "timeout";
      if (got <= 0) return all;
      all.append(buffer, static_cast<size_t>(got));
    }
  }

  // One response with a short body.
  std::string ReadSome() {
    char buffer[4096];
    const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
    return got <= 0 ? "" : std::string(buffer, static_cast<size_t>(got));
  }

  bool connected() const { return connected_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  bool connected_;
};

constexpr char kGet[] = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

std::unique_ptr<HttpServer> Start(
    HttpServerOptions options, HttpServer::Handler handler = [](const ServerRequest& request) {
      return ServerResponse{.body = request.method + " " + request.path + " " + std::to_string(request.body.size())};
    }) {
  options.address = "127.0.0.1:0";
  return HttpServer::Start(options, std::move(handler)).value();
}

int64_t ResidentKiB() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "VmRSS:") break;
  }
  int64_t kib = 0;
  status >> kib;
  return kib;
}

TEST(HttpServerTest, AnswersOnAConnectionThatIsKept) {
  const auto server = Start({});
  RawClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    client.Send(kGet);
    EXPECT_THAT(client.ReadSome(), testing::AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("GET /hello 0")));
  }
}

TEST(HttpServerTest, TheQueryIsNoPartOfThePath) {
  const auto server = Start({});
  RawClient client(server->port());
  client.Send("POST /mutate-pods?timeout=5s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_THAT(client.ReadSome(), HasSubstr("POST /mutate-pods 2"));
}

TEST(HttpServerTest, TwoHundredIdleConnectionsKeepNobodyWaiting) {
  const auto server = Start({.handler_threads = 2});
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 200; ++i) idle.push_back(std::make_unique<RawClient>(server->port()));
  const absl::Time before = absl::Now();
  RawClient client(server->port());
  client.Send(kGet);
  EXPECT_THAT(client.ReadSome(), HasSubstr("200 OK"));
  EXPECT_LT(absl::Now() - before, absl::Seconds(2));
}

TEST(HttpServerTest, WhenFullTheLongestIdleOneGoes) {
  const auto server = Start({.max_connections = 3});
  RawClient first(server->port()), second(server->port()), third(server->port());
  for (RawClient* client : {&first, &second, &third}) {
    client->Send(kGet);
    ASSERT_THAT(client->ReadSome(), HasSubstr("200 OK"));
  }
  first.Send(kGet);  // now the second is the longest idle
  ASSERT_THAT(first.ReadSome(), HasSubstr("200 OK"));
  RawClient fourth(server->port());
  fourth.Send(kGet);
  EXPECT_THAT(fourth.ReadSome(), HasSubstr("200 OK"));
  EXPECT_EQ(second.ReadAll(), "");
  first.Send(kGet);
  EXPECT_THAT(first.ReadSome(), HasSubstr("200 OK"));
}

TEST(HttpServerTest, AHeaderWithoutEndIsRefusedEarly) {
  const auto server = Start({});
  RawClient client(server->port());
  client.Send("GET / HTTP/1.1\r\nX: ");
  int64_t sent = 0;
  while (sent < (100 << 20) && client.Send(std::string(64 << 10, 'x'))) sent += 64 << 10;
  EXPECT_LT(sent, 8 << 20);  // what the kernel's buffers take
}

TEST(HttpServerTest, AHeaderALittleTooLongHears431) {
  const auto server = Start({});
  RawClient client(server->port());
  client.Send("GET / HTTP/1.1\r\nX: " + std::string(17 << 10, 'x') + "\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), testing::AnyOf(StartsWith("HTTP/1.1 431"), ""));  // a reset may overtake it
}

TEST(HttpServerTest, AnAnnouncedBodyBeyondTheLimitIs413) {
  const auto server = Start({});
  RawClient client(server->port());
  client.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 413"));
}

TEST(HttpServerTest, AChunkedBodyWithoutEndTakesNoMemory) {
  const auto server = Start({});
  const int64_t before = ResidentKiB();
  RawClient client(server->port());
  client.Send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  int64_t sent = 0;
  while (sent < (100 << 20) && client.Send(chunk)) sent += 0x10000;
  EXPECT_LT(sent, 12 << 20);
  EXPECT_LT(ResidentKiB() - before, 12 << 10);
}

TEST(HttpServerTest, ASlowSenderIsCutOff) {
  const auto server = Start({.request_timeout = absl::Milliseconds(500)});
  RawClient header(server->port()), body(server->port());
  header.Send("GET / HTTP/1.1\r\n");
  body.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1");
  for (int i = 0; i < 4; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // each byte within the limit, all together not
    header.Send("X");
    body.Send("1");
  }
  EXPECT_EQ(header.ReadAll(), "");
  EXPECT_EQ(body.ReadAll(), "");
}

TEST(HttpServerTest, AllBodiesTogetherAreBounded) {
  const auto server = Start({.max_body_bytes = 1 << 20, .max_buffered_bytes = 2 << 20});
  std::vector<std::unique_ptr<RawClient>> hogs;
  for (int i = 0; i < 8; ++i) {
    hogs.push_back(std::make_unique<RawClient>(server->port()));
    hogs.back()->Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + std::string(900'000, 'x'));
  }
  while (server->stats().evicted < 6) std::this_thread::yield();
  RawClient client(server->port());
  client.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_THAT(client.ReadSome(), HasSubstr("POST / 5"));
}

TEST(HttpServerTest, WhoIsWorkedForIsNotEvictedForHisBody) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::latch blocked(2);
  const auto server = Start({.max_buffered_bytes = 100'000}, [&](const ServerRequest& request) {
    if (request.path == "/block") {
      blocked.count_down();
      released.wait();
    }
    return ServerResponse{.body = "done"};
  });
  RawClient working[2] = {RawClient(server->port()), RawClient(server->port())};
  for (RawClient& client : working) {
    client.Send("POST /block HTTP/1.1\r\nHost: x\r\nContent-Length: 49000\r\n\r\n" + std::string(49'000, 'x'));
  }
  blocked.wait();
  RawClient last(server->port());
  last.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n" + std::string(10'000, 'x'));
  EXPECT_THAT(last.ReadSome(), HasSubstr("done"));
  EXPECT_EQ(server->stats().evicted, 0);
  release.set_value();
  for (RawClient& client : working) EXPECT_THAT(client.ReadSome(), HasSubstr("done"));
}

TEST(HttpServerTest, OneLargeBodyIsInWorkAtATimeAndHoldsUpNoSmallOnes) {
  std::atomic<int> in_work = 0, most = 0;
  std::latch small_done(1);
  const auto server = Start({}, [&](const ServerRequest& request) {
    if (request.body.empty()) return ServerResponse{.body = "small"};
    most = std::max<int>(most, ++in_work);
    small_done.wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // in which others would begin
    --in_work;
    return ServerResponse{.body = "large"};
  });
  std::list<RawClient> large;
  for (int i = 0; i < 17; ++i) {  // more than there are threads
    large.emplace_back(server->port())
        .Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + std::string(70'000, 'x'));
  }
  while (most == 0) std::this_thread::yield();
  RawClient small(server->port());
  small.Send(kGet);
  EXPECT_THAT(small.ReadSome(), HasSubstr("small"));
  small_done.count_down();
  for (RawClient& client : large) EXPECT_THAT(client.ReadSome(), HasSubstr("large"));
  EXPECT_EQ(most, 1);
}

TEST(HttpServerTest, WhenAllAreWorkedForTheNewOneGoes) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::latch blocked(3);
  const auto server = Start({.max_connections = 3}, [&](const ServerRequest&) {
    blocked.count_down();
    released.wait();
    return ServerResponse{.body = "done"};
  });
  RawClient working[3] = {RawClient(server->port()), RawClient(server->port()), RawClient(server->port())};
  for (RawClient& client : working) client.Send(kGet);
  blocked.wait();
  EXPECT_EQ(RawClient(server->port()).ReadAll(), "");
  EXPECT_EQ(server->stats().connections, 3);
  release.set_value();
  for (RawClient& client : working) EXPECT_THAT(client.ReadSome(), HasSubstr("done"));
}

TEST(HttpServerTest, WhoDoesNotReadItsAnswerMakesRoom) {
  const auto server = Start({.max_connections = 3},
                            [](const ServerRequest&) { return ServerResponse{.body = std::string(16 << 20, 'x')}; });
  RawClient parked[3] = {RawClient(server->port()), RawClient(server->port()), RawClient(server->port())};
  for (RawClient& client : parked) {
    client.Send(kGet);
    ASSERT_THAT(client.ReadSome(), HasSubstr("200 OK"));
  }
  RawClient client(server->port());
  client.Send(kGet);
  EXPECT_THAT(client.ReadSome(), HasSubstr("200 OK"));
}

TEST(HttpServerTest, NoiseIsRefused) {
  const auto server = Start({});
  for (const std::string& noise :
       {std::string("\x16\x03\x01\x02\x00\x01", 6), std::string("\r\n\r\n\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")}) {
    RawClient client(server->port());
    client.Send(noise);
    shutdown(0, SHUT_WR);
    RawClient other(server->port());
    other.Send(kGet);
    EXPECT_THAT(other.ReadSome(), HasSubstr("200 OK"));
  }
}

TEST(HttpServerTest, AHandlerThatThrowsIsA500) {
  const auto server = Start({}, [](const ServerRequest&) -> ServerResponse { throw std::runtime_error("x"); });
  RawClient client(server->port());
  client.Send(kGet);
  EXPECT_THAT(client.ReadSome(), StartsWith("HTTP/1.1 500"));
}

TEST(HttpServerTest, HandlersThatBlockHoldUpNoOthers) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::latch blocked(3);
  const auto server = Start({.handler_threads = 4}, [&](const ServerRequest& request) {
    if (request.path == "/block") {
      blocked.count_down();
      released.wait();
    }
    return ServerResponse{.body = "done"};
  });
  RawClient slow[3] = {RawClient(server->port()), RawClient(server->port()), RawClient(server->port())};
  for (RawClient& client : slow) client.Send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
  blocked.wait();
  RawClient client(server->port());
  client.Send(kGet);
  EXPECT_THAT(client.ReadSome(), HasSubstr("done"));
  release.set_value();
  for (RawClient& waiting : slow) EXPECT_THAT(waiting.ReadSome(), HasSubstr("done"));
}

TEST(HttpServerTest, DrainClosesIdleConnectionsAndServesOn) {
  const auto server = Start({});
  RawClient idle(server->port());
  idle.Send(kGet);
  ASSERT_THAT(idle.ReadSome(), HasSubstr("200 OK"));
  server->Drain();
  EXPECT_EQ(idle.ReadAll(), "");
  RawClient late(server->port());
  late.Send(kGet);
  EXPECT_THAT(late.ReadAll(), testing::AllOf(HasSubstr("200 OK"), HasSubstr("Connection: close")));
}

TEST(HttpServerTest, AnAddressThatIsNoneOrTakenIsAnError) {
  const auto server = Start({});
  const auto handler = [](const ServerRequest&) { return ServerResponse(); };
  EXPECT_EQ(HttpServer::Start({.address = "nonsense"}, handler).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(HttpServer::Start({.address = "localhost:0"}, handler).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(HttpServer::Start({.address = "127.0.0.1:" + std::to_string(server->port())}, handler).status().code(),
            absl::StatusCode::kUnavailable);
}

// What a node booted with ipv6.disable=1 does, for this thread and those that it starts.
void DisableIpv6() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{.len = std::size(program), .filter = program};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

TEST(HttpServerTest, WithoutIpv6APortAloneIsServedOverIpv4) {
  std::thread([] {
    DisableIpv6();
    ASSERT_EQ(socket(AF_INET6, SOCK_STREAM, 0), -1);
    const auto server = HttpServer::Start({.address = ":0"}, [](const ServerRequest&) { return ServerResponse(); });
    ASSERT_TRUE(server.ok()) << server.status();
    RawClient client((*server)->port());
    client.Send(kGet);
    EXPECT_THAT(client.ReadSome(), HasSubstr("200 OK"));
  }).join();
}

class TlsTest : public testing::Test {
 protected:
  TlsTest() { signal(SIGPIPE, SIG_IGN); }  // as our programs do

  CertificateAndKey ca_ = MakeCa("test", absl::Hours(1), absl::Now()).value();

  CertificateAndKey Leaf(const CertificateAndKey& ca) {
    return SignLeaf(ca.certificate, ca.key, {"webhook.svc"}, absl::Hours(1), absl::Now()).value();
  }

  std::unique_ptr<HttpTransport> Client(const HttpServer& server, const std::string& bundle,
                                        const CertificateAndKey& own = {}) {
    HttplibOptions options{.server = "https://127.0.0.1:" + std::to_string(server.port()),
                           .tls_server_name = "webhook.svc",
                           .tls = BuildTlsContext(bundle, own.certificate, own.key).value()};
    return HttplibTransport::Create(std::move(options), StaticCredential(SecretString())).value();
  }
};

TEST_F(TlsTest, ServesTheNewestCertificateToNewConnections) {
  const auto server = Start({.tls = true});
  const auto before = Client(*server, ca_.certificate);
  EXPECT_FALSE(before->Send({.method = "GET", .path = "/"}).ok()) << "there is no certificate yet";
  ASSERT_TRUE(server->SetCertificate(Leaf(ca_)).ok());
  EXPECT_EQ(before->Send({.method = "GET", .path = "/"})->status, 200);
  const CertificateAndKey next = MakeCa("test", absl::Hours(1), absl::Now()).value();
  ASSERT_TRUE(server->SetCertificate(Leaf(next)).ok());
  EXPECT_EQ(before->Send({.method = "GET", .path = "/"})->status, 200) << "an open connection goes on";
  EXPECT_FALSE(Client(*server, ca_.certificate)->Send({.method = "GET", .path = "/"}).ok());
  EXPECT_EQ(Client(*server, ca_.certificate + next.certificate)->Send({.method = "GET", .path = "/"})->status, 200);
}

TEST_F(TlsTest, KnowsAClientByItsCertificate) {
  HttpServerOptions options{.tls = true, .client_ca = ca_.certificate};
  const auto server = Start(options, [](const ServerRequest& request) {
    return ServerResponse{.status = request.verified_client ? 200 : 403};
  });
  ASSERT_TRUE(server->SetCertificate(Leaf(ca_)).ok());
  EXPECT_EQ(Client(*server, ca_.certificate)->Send({.method = "GET", .path = "/"})->status, 403);
  const CertificateAndKey stranger = MakeCa("other", absl::Hours(1), absl::Now()).value();
  const auto refused = Client(*server, ca_.certificate, Leaf(stranger))->Send({.method = "GET", .path = "/"});
  EXPECT_TRUE(!refused.ok() || refused->status == 403);
}

TEST_F(TlsTest, AHalfOfTheHandshakeIsCutOff) {
  const auto server = Start({.tls = true, .handshake_timeout = absl::Milliseconds(200)});
  ASSERT_TRUE(server->SetCertificate(Leaf(ca_)).ok());
  RawClient client(server->port());
  client.Send(std::string("\x16\x03\x01\x02\x00\x01", 6));
  EXPECT_NE(client.ReadAll(), "timeout");
}

// Sends a last request and reads to the server's close_notify, but never sends its own.
class LingeringClient {
 public:
  explicit LingeringClient(int port) : raw_(port), context_(SSL_CTX_new(TLS_client_method())), tls_(SSL_new(context_)) {
    SSL_set_fd(tls_, raw_.fd());
    constexpr char kLast[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    if (SSL_connect(tls_) != 1 || SSL_write(tls_, kLast, sizeof(kLast) - 1) <= 0) return;
    char buffer[4096];
    int got;
    while ((got = SSL_read(tls_, buffer, sizeof(buffer))) > 0) {
    }
    lingers_ = SSL_get_error(tls_, got) == SSL_ERROR_ZERO_RETURN;
  }
  ~LingeringClient() {
    SSL_free(tls_);
    SSL_CTX_free(context_);
  }
  LingeringClient(const LingeringClient&) = delete;

  bool lingers() const { return lingers_; }

 private:
  RawClient raw_;
  SSL_CTX* const context_;
  SSL* const tls_;
  bool lingers_ = false;
};

TEST_F(TlsTest, WhoLingersAfterItsLastAnswerGoesBeforeAnIdleOne) {
  const auto server = Start({.tls = true, .max_connections = 3});
  ASSERT_TRUE(server->SetCertificate(Leaf(ca_)).ok());
  const auto api_server = Client(*server, ca_.certificate);
  ASSERT_EQ(api_server->Send({.method = "GET", .path = "/"})->status, 200);
  std::list<LingeringClient> lingering;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(lingering.emplace_back(server->port()).lingers());
  // Its connection is still the same: with another certificate, a new one would be refused.
  ASSERT_TRUE(server->SetCertificate(Leaf(MakeCa("other", absl::Hours(1), absl::Now()).value())).ok());
  const absl::StatusOr<HttpResponse> again = api_server->Send({.method = "GET", .path = "/"});
  EXPECT_TRUE(again.ok()) << again.status();
  EXPECT_LE(server->stats().connections, 3);
}

TEST_F(TlsTest, AMismatchedPairIsAnError) {
  const auto server = Start({.tls = true});
  CertificateAndKey leaf = Leaf(ca_);
  leaf.key = ca_.key;
  EXPECT_EQ(server->SetCertificate(leaf).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace k8s
