#include "k8s/api/cluster_connection.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "k8s/api/certificate_authority.h"
#include "k8s/api/credential_source.h"
#include "k8s/api/exec_login.h"
#include "k8s/api/exec_plugin.h"
#include "k8s/fakes/fake_clock.h"

// Connect() against a real server on loopback: what a kubeconfig says of it, and what a hostile one may answer.
namespace k8s {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kCanary[] = "canary-token";
constexpr char kVersion[] = R"({"major":"1","minor":"37"})";

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

class Never final : public StreamCanceller {
 public:
  bool Cancelled() const override { return false; }
};

// An API server that answers GET below any path, and remembers what it was sent.
class LoopbackServer {
 public:
  LoopbackServer(std::unique_ptr<httplib::Server> server, const std::string& address) : server_(std::move(server)) {
    server_->Get(".*", [this](const httplib::Request& request, httplib::Response& response) {
      {
        std::lock_guard lock(mu_);
        path_ = request.path;
        authorization_ = request.get_header_value("Authorization");
        host_ = request.get_header_value("Host");
        ++requests_;
      }
      if (answer_) return answer_(request, response);
      response.set_content(kVersion, "application/json");
    });
    port_ = server_->bind_to_any_port(address);
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    server_->wait_until_ready();
  }
  ~LoopbackServer() {
    server_->stop();
    thread_.join();
  }

  int port() const { return port_; }
  std::string path() const { return Locked(path_); }
  std::string authorization() const { return Locked(authorization_); }
  std::string host() const { return Locked(host_); }
  int requests() const {
    std::lock_guard lock(mu_);
    return requests_;
  }
  // Before the first request.
  void Answer(httplib::Server::Handler answer) { answer_ = std::move(answer); }

 private:
  std::string Locked(const std::string& text) const {
    std::lock_guard lock(mu_);
    return text;
  }

  const std::unique_ptr<httplib::Server> server_;
  httplib::Server::Handler answer_;
  int port_ = 0;
  std::thread thread_;
  mutable std::mutex mu_;
  std::string path_, authorization_, host_;  // guarded by mu_: of the last request
  int requests_ = 0;                         // guarded by mu_
};

class ConnectTest : public testing::Test {
 protected:
  static std::unique_ptr<LoopbackServer> Plain(const std::string& address = "127.0.0.1") {
    return std::make_unique<LoopbackServer>(std::make_unique<httplib::Server>(), address);
  }

  // With a certificate for `name`, of the CA in ca_.
  std::unique_ptr<LoopbackServer> Tls(const std::string& name) {
    ca_ = *MakeCa("test", absl::Hours(1), absl::Now());
    const CertificateAndKey leaf = *SignLeaf(ca_.certificate, ca_.key, {name}, absl::Hours(1), absl::Now());
    const std::string folder = testing::TempDir();
    WriteFile(folder + "/tls.crt", leaf.certificate);
    WriteFile(folder + "/tls.key", std::string(leaf.key.Reveal()));
    auto server = std::make_unique<httplib::SSLServer>((folder + "/tls.crt").c_str(), (folder + "/tls.key").c_str());
    return std::make_unique<LoopbackServer>(std::move(server), "127.0.0.1");
  }

  static std::string Url(const LoopbackServer& server, const std::string& scheme = "http") {
    return absl::StrCat(scheme, "://127.0.0.1:", server.port());
  }

  static absl::Status Ask(const ClusterAccess& access, const Environment& environment = {}) {
    absl::StatusOr<ClusterConnection> connection = Connect(access, environment);
    if (!connection.ok()) return connection.status();
    return connection->client->GetPath("/version", absl::Seconds(5)).status();
  }

  CertificateAndKey ca_;
};

// --- where it is
TEST_F(ConnectTest, AServerMayLieBelowAPath) {
  const auto server = Plain();
  EXPECT_EQ(Ask({.server = Url(*server) + "/k8s/clusters/c-1/"}), absl::OkStatus());
  EXPECT_EQ(server->path(), "/k8s/clusters/c-1/version");
}

TEST_F(ConnectTest, AServerMayHaveAnIpv6Address) {
  const auto server = Plain("::1");
  if (server->port() <= 0) GTEST_SKIP() << "no IPv6 here";
  EXPECT_EQ(Ask({.server = absl::StrCat("http://[::1]:", server->port())}), absl::OkStatus());
  EXPECT_EQ(server->host(), absl::StrCat("[::1]:", server->port()));
}

TEST_F(ConnectTest, RefusesAUrlOfAnotherScheme) {
  for (const char* url : {"ftp://host", "host:443", "https://", "https://[::1", "https://host:0", "https://host:x"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Ask({.server = url}))) << url;
  }
}

TEST_F(ConnectTest, AProxyIsAskedForTheServer) {
  const auto proxy = Plain();
  const ClusterAccess access{.server = "http://server.example:6443",
                             .proxy_url = absl::StrCat("http://user:secret@127.0.0.1:", proxy->port())};
  EXPECT_EQ(Ask(access), absl::OkStatus());
  EXPECT_EQ(proxy->host(), "server.example:6443");
}

TEST_F(ConnectTest, TheEnvironmentNamesAProxyAndWhatGoesPastIt) {
  const auto proxy = Plain();
  const std::string proxy_url = absl::StrCat("127.0.0.1:", proxy->port());
  EXPECT_EQ(Ask({.server = "http://server.example"}, {{{"HTTPS_PROXY", proxy_url}}}), absl::OkStatus());
  EXPECT_EQ(proxy->requests(), 1);
  for (const char* past : {"server.invalid", ".invalid", "other, invalid", "*"}) {
    EXPECT_TRUE(absl::IsUnavailable(
        Ask({.server = "http://server.invalid"}, {{{"HTTPS_PROXY", proxy_url}, {"NO_PROXY", past}}})))
        << past;
  }
  EXPECT_EQ(proxy->requests(), 1);
}

TEST_F(ConnectTest, AProxyIsNotAskedForTheTlsServerName) {
  const auto proxy = Plain();
  const ClusterAccess access{
      .server = "https://server.example:6443", .tls_server_name = "api.example", .proxy_url = Url(*proxy)};
  EXPECT_THAT(std::string(Ask(access).message()), HasSubstr("tls-server-name"));
  EXPECT_EQ(proxy->requests(), 0);
}

// --- who it is
TEST_F(ConnectTest, TrustsTheCaOfTheKubeconfig) {
  const auto server = Tls("127.0.0.1");
  EXPECT_EQ(Ask({.server = Url(*server, "https"), .ca_data = ca_.certificate}), absl::OkStatus());
}

TEST_F(ConnectTest, TrustsNoOther) {
  const auto server = Tls("127.0.0.1");
  const std::string other = MakeCa("other", absl::Hours(1), absl::Now())->certificate;
  for (const std::string& ca : {other, std::string()}) {  // without one, the system's roots
    const absl::Status status = Ask({.server = Url(*server, "https"), .ca_data = ca, .token = SecretString(kCanary)});
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not signed by the CA we know"));
  }
  EXPECT_EQ(server->requests(), 0);
}

TEST_F(ConnectTest, NorDoTheSystemsRootsCountThen) {
  const auto server = Tls("127.0.0.1");
  const std::string roots = testing::TempDir() + "/system-roots.pem";
  WriteFile(roots, ca_.certificate);
  setenv("SSL_CERT_FILE", roots.c_str(), 1);
  EXPECT_TRUE(Ask({.server = Url(*server, "https")}).ok());
  const CertificateAndKey other = *MakeCa("other", absl::Hours(1), absl::Now());
  EXPECT_FALSE(Ask({.server = Url(*server, "https"), .ca_data = other.certificate}).ok());
  unsetenv("SSL_CERT_FILE");
}

// Workers dial at once. Under asan this shows whether what their connections share is changed.
TEST_F(ConnectTest, ManyDialAtOnce) {
  const auto server = Tls("127.0.0.1");
  for (int round = 0; round < 5; ++round) {
    const auto connection = Connect({.server = Url(*server, "https"), .ca_data = ca_.certificate}, {});
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] { EXPECT_TRUE(connection->client->GetPath("/version", absl::Seconds(10)).ok()); });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_F(ConnectTest, ACertificateMustBeForTheName) {
  const auto server = Tls("api.example");
  const absl::Status status = Ask({.server = Url(*server, "https"), .ca_data = ca_.certificate});
  EXPECT_THAT(std::string(status.message()), HasSubstr("not for this name"));
  EXPECT_EQ(server->requests(), 0);
}

TEST_F(ConnectTest, OrForTheTlsServerName) {
  const auto server = Tls("api.example");
  EXPECT_EQ(Ask({.server = Url(*server, "https"), .ca_data = ca_.certificate, .tls_server_name = "api.example"}),
            absl::OkStatus());
}

TEST_F(ConnectTest, TellsWhichPartOfItIsMalformed) {
  EXPECT_THAT(std::string(Ask({.server = "https://h", .ca_data = "no PEM"}).message()), HasSubstr("CA bundle"));
  EXPECT_THAT(std::string(Ask({.server = "https://h", .client_certificate_data = "x"}).message()),
              HasSubstr("its key"));
  EXPECT_THAT(std::string(Ask({.server = "https://h", .ca_file = "/nowhere"}).message()), HasSubstr("/nowhere"));
}

// --- who we are
TEST_F(ConnectTest, ATokenFileIsReadAgainAfterARefusal) {
  const std::string file = testing::TempDir() + "/token";
  WriteFile(file, "old\n");
  const auto server = Plain();
  server->Answer([&](const httplib::Request& request, httplib::Response& response) {
    if (request.get_header_value("Authorization") == "Bearer new") return response.set_content(kVersion, "text/plain");
    WriteFile(file, "new\n");  // as the kubelet does, sooner or later
    response.status = 401;
  });
  EXPECT_EQ(Ask({.server = Url(*server), .token_file = file}), absl::OkStatus());
  EXPECT_EQ(server->requests(), 2);
}

TEST_F(ConnectTest, AnExecPluginLogsUsIn) {
  const std::string plugin = testing::TempDir() + "/plugin";
  WriteFile(plugin,
            "#!/bin/sh\n"
            "case $KUBERNETES_EXEC_INFO in *v1beta1*) ;; *) exit 3 ;; esac\n"
            "echo '{\"kind\": \"ExecCredential\", \"status\": {\"token\": \"'$1-$WHO'\"}}'\n");
  chmod(plugin.c_str(), 0755);
  const auto server = Plain();
  const ExecPlugin exec{.api_version = "client.authentication.k8s.io/v1beta1",
                        .command = plugin,
                        .args = {"token-of"},
                        .env = {{"WHO", "alice"}}};
  EXPECT_EQ(Ask({.server = Url(*server), .exec = exec}), absl::OkStatus());
  EXPECT_EQ(server->authorization(), "Bearer token-of-alice");
}

TEST_F(ConnectTest, AnExecPluginHasItsOwnEnvironmentAndTheCluster) {
  const std::string plugin = testing::TempDir() + "/asking-plugin";
  WriteFile(plugin,
            "#!/usr/bin/env python3\n"
            "import json, os\n"
            "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
            "token = os.environ['PROFILE'] + '-' + info['spec']['cluster']['tls-server-name']\n"
            "print(json.dumps({'kind': 'ExecCredential', 'status': {'token': token}}))\n");
  chmod(plugin.c_str(), 0755);
  const auto server = Plain();
  setenv("PROFILE", "of-the-shell", 1);
  const ExecPlugin exec{.command = plugin, .env = {{"PROFILE", "prod"}}, .provide_cluster_info = true};
  EXPECT_EQ(Ask({.server = Url(*server), .tls_server_name = "east", .exec = exec}), absl::OkStatus());
  unsetenv("PROFILE");
  EXPECT_EQ(server->authorization(), "Bearer prod-east");
}

TEST_F(ConnectTest, AnExecPluginThatFailsIsNamedAndNotQuoted) {
  const std::string plugin = testing::TempDir() + "/broken-plugin";
  for (const char* script : {"#!/bin/sh\necho canary-token; exit 4\n",
                             "#!/bin/sh\necho '{\"token\": \"canary-token\"}'\n", "#!/bin/sh\nkill -9 $$\n"}) {
    WriteFile(plugin, script);
    chmod(plugin.c_str(), 0755);
    const absl::Status status =
        Ask({.server = "http://127.0.0.1:1", .exec = ExecPlugin{.command = plugin, .install_hint = "install it"}});
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("broken-plugin"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("install it"));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
  }
}

class ExecPluginCredentialTest : public testing::Test {
 protected:
  int runs_ = 0;
  bool fails_ = false;
  FakeClock clock_;
  const std::unique_ptr<CredentialSource> credential_ = ExecPluginCredential(std::make_unique<ExecLogin>(
      [this]() -> absl::StatusOr<ExecSession> {
        ++runs_;
        if (fails_) return absl::UnauthenticatedError("exec plugin login exited with status 1");
        return ExecSession{.credential = {.token = SecretString(absl::StrCat("token-", runs_)),
                                          .expires_at = clock_.Now() + absl::Minutes(10)}};
      },
      clock_));
};

TEST_F(ExecPluginCredentialTest, WhileThePluginFailsTheCredentialServesToItsEnd) {
  EXPECT_EQ(credential_->Authorization()->Reveal(), "Bearer token-1");
  fails_ = true;
  clock_.Advance(absl::Seconds(570));
  EXPECT_EQ(credential_->Authorization()->Reveal(), "Bearer token-1");
  clock_.Advance(absl::Seconds(30));
  EXPECT_TRUE(absl::IsUnauthenticated(credential_->Authorization().status()));
}

TEST_F(ExecPluginCredentialTest, ARefusedCredentialIsReplaced) {
  EXPECT_TRUE(credential_->Authorization().ok());
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(credential_->Invalidate());
  EXPECT_EQ(credential_->Authorization()->Reveal(), "Bearer token-2");
}

TEST_F(ExecPluginCredentialTest, AServerThatRefusesAllOfThemCostsARunAtTimesOnly) {
  for (int i = 0; i < 100; ++i) {  // in 10 s
    EXPECT_TRUE(credential_->Authorization().ok());
    credential_->Invalidate();
    clock_.Advance(absl::Milliseconds(100));
  }
  EXPECT_EQ(runs_, 5);  // after 0, 1, 2, 4 and 8 s
}

TEST_F(ConnectTest, NorACertificateOfItsThatIsNone) {
  const std::string plugin = testing::TempDir() + "/garbled-plugin";
  WriteFile(plugin,
            "#!/bin/sh\necho '{\"kind\": \"ExecCredential\", \"status\": {\"clientCertificateData\": \"canary\"}}'\n");
  chmod(plugin.c_str(), 0755);
  const absl::Status status = Ask({.server = "https://127.0.0.1:1", .exec = ExecPlugin{.command = plugin}});
  EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("garbled-plugin"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
}

// --- what it answers
TEST_F(ConnectTest, AnExecPluginThatSaysNothingMoreAndLivesOnIsEnded) {
  const std::string plugin = testing::TempDir() + "/lives-on";
  WriteFile(plugin, "#!/bin/sh\necho '{}'\nexec >&- sleep 60\n");
  chmod(plugin.c_str(), 0755);
  const absl::Time started = absl::Now();
  const auto ended = RunExecPlugin({.command = plugin}, absl::Seconds(1));
  EXPECT_TRUE(absl::IsUnauthenticated(ended.status()));
  EXPECT_THAT(std::string(ended.status().message()), HasSubstr("did not end within 1s"));
  EXPECT_LT(absl::Now() - started, absl::Seconds(10));
}

TEST_F(ConnectTest, AnAnswerWithoutEndIsCutOff) {
  const auto server = Plain();
  std::atomic<size_t> sent = 0;
  server->Answer([&](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("application/json", [&](size_t, httplib::DataSink& sink) {
      static const std::string block(1 << 16, ' ');
      sent += block.size();
      return sink.write(block.data(), block.size());
    });
  });
  EXPECT_TRUE(absl::IsResourceExhausted(Ask({.server = Url(*server)})));
  EXPECT_LT(sent, 2 * kMaxResponseBytes);
}

TEST_F(ConnectTest, AnAnswerThatClaimsToBeGiganticIsNotReadInFull) {
  const auto server = Plain();
  server->Answer([](const httplib::Request&, httplib::Response& response) {
    response.set_content_provider(size_t{1} << 40, "application/json", [](size_t, size_t, httplib::DataSink& sink) {
      static const std::string block(1 << 16, ' ');
      return sink.write(block.data(), block.size());
    });
  });
  EXPECT_TRUE(absl::IsResourceExhausted(Ask({.server = Url(*server)})));
}

TEST_F(ConnectTest, ATrickleDoesNotHoldUsBeyondTheTimeout) {
  const auto server = Plain();
  server->Answer([](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("application/json", [](size_t, httplib::DataSink& sink) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      return sink.write(" ", 1);
    });
  });
  const auto connection = Connect({.server = Url(*server)}, {});
  const absl::Time started = absl::Now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(connection->client->GetPath("/version", absl::Milliseconds(500)).status()));
  EXPECT_LT(absl::Now() - started, absl::Seconds(3));
}

// A byte of the status line each 50 ms, for ever.
class TricklingServer {
 public:
  TricklingServer() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 4), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      const int connection = accept(listener_, nullptr, nullptr);
      while (!done_ && send(connection, "H", 1, MSG_NOSIGNAL) == 1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      close(connection);
    });
  }
  ~TricklingServer() {
    done_ = true;
    thread_.join();
    close(listener_);
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }

 private:
  const int listener_;
  int port_ = 0;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

TEST_F(ConnectTest, NorDoesOneOfTheHeader) {
  const TricklingServer server;
  const auto connection = Connect({.server = server.url()}, {});
  const absl::Time started = absl::Now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(connection->client->GetPath("/version", absl::Milliseconds(500)).status()));
  EXPECT_LT(absl::Now() - started, absl::Seconds(3));
}

TEST_F(ConnectTest, NorThatOfAWatch) {
  const TricklingServer server;
  const auto connection = Connect({.server = server.url()}, {});
  const absl::Time started = absl::Now();
  const auto ended =
      connection->transport->Stream({.method = "GET", .path = "/watch", .timeout = absl::Milliseconds(500)},
                                    absl::Minutes(1), Never(), [](std::string_view) { return true; });
  EXPECT_FALSE(ended.ok());
  EXPECT_LT(absl::Now() - started, absl::Seconds(3));
}

TEST_F(ConnectTest, ARedirectIsNotFollowedWithOurToken) {
  const auto elsewhere = Plain();
  const auto server = Plain();
  server->Answer([&](const httplib::Request&, httplib::Response& response) {
    response.set_redirect(Url(*elsewhere) + "/version");
  });
  EXPECT_TRUE(absl::IsUnavailable(Ask({.server = Url(*server), .token = SecretString(kCanary)})));
  EXPECT_EQ(elsewhere->requests(), 0);
}

TEST_F(ConnectTest, ARefusalThatIsNoStatusIsNotRepeated) {
  const auto server = Plain();
  server->Answer([](const httplib::Request& request, httplib::Response& response) {
    response.status = 403;
    response.set_content("denied: " + request.get_header_value("Authorization"), "text/plain");
  });
  const absl::Status status = Ask({.server = Url(*server), .token = SecretString(kCanary)});
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
}

TEST_F(ConnectTest, ASilentWatchEndsAtItsLimit) {
  const auto server = Plain();
  std::atomic<bool> done = false;
  server->Answer([&](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("application/json", [&](size_t, httplib::DataSink& sink) {
      while (!done && sink.is_writable()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return false;
    });
  });
  const auto connection = Connect({.server = Url(*server)}, {});
  const absl::Time started = absl::Now();
  const auto ended = connection->transport->Stream({.method = "GET", .path = "/watch"}, absl::Milliseconds(500),
                                                   Never(), [](std::string_view) { return true; });
  EXPECT_TRUE(absl::IsDeadlineExceeded(ended.status())) << ended.status();
  EXPECT_LT(absl::Now() - started, absl::Seconds(5));
  done = true;
}

}  // namespace
}  // namespace k8s
