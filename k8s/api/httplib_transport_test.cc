#include "k8s/api/httplib_transport.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "k8s/api/credential_source.h"

namespace k8s {
namespace {

using ::testing::HasSubstr;

constexpr char kHead[] = "HTTP/1.1 200 OK\r\nDate: Fri, 15 Jan 2027 08:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n";

class Never final : public StreamCanceller {
 public:
  bool Cancelled() const override { return false; }
};

// Answers one request with `answer` and cuts the connection `later`.
class CuttingServer {
 public:
  explicit CuttingServer(std::string answer, absl::Duration later = absl::ZeroDuration())
      : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 4), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer), later] {
      const int connection = accept(listener_, nullptr, nullptr);
      char request[4096];
      EXPECT_GT(recv(connection, request, sizeof(request), 0), 0);
      EXPECT_EQ(send(connection, answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
      absl::SleepFor(later);
      close(connection);
    });
  }
  ~CuttingServer() {
    thread_.join();
    close(listener_);
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }

 private:
  const int listener_;
  int port_ = 0;
  std::thread thread_;
};

absl::StatusOr<HttpResponse> Stream(const CuttingServer& server, HttpRequest request) {
  const auto transport = HttplibTransport::Create({.server = server.url()}, StaticCredential(SecretString())).value();
  request.method = "GET";
  request.path = "/watch";
  return transport->Stream(request, absl::Minutes(1), Never(), [](std::string_view) { return true; });
}

// A broker with a thousand streams.
TEST(HttplibTransportTest, AProcessWithManyDescriptorsConnectsAsEver) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 2 * FD_SETSIZE);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  const CuttingServer server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
  std::vector<int> open;
  do {
    open.push_back(dup(STDERR_FILENO));
    ASSERT_GE(open.back(), 0);
  } while (open.back() < FD_SETSIZE);
  const auto transport = HttplibTransport::Create({.server = server.url()}, StaticCredential(SecretString()));
  ASSERT_TRUE(transport.ok()) << transport.status();
  const absl::StatusOr<HttpResponse> response = (*transport)->Send({.method = "GET", .path = "/version"});
  for (const int descriptor : open) close(descriptor);
  EXPECT_TRUE(response.ok()) << response.status();
}

TEST(HttplibTransportTest, AStreamThatIsCutAfterItsHeadIsAborted) {
  for (const char* chunk : {"", "3\r\nabc\r\n", "3\r\na"}) {
    const CuttingServer server(absl::StrCat(kHead, chunk));
    const absl::Status status = Stream(server, {}).status();
    EXPECT_TRUE(absl::IsAborted(status)) << status;
  }
}

// A load balancer cuts when a stream has been idle for longer than an answer may take.
TEST(HttplibTransportTest, AlsoAfterTheTimeThatItsHeadHad) {
  const CuttingServer server(kHead, absl::Milliseconds(600));
  const absl::Status status = Stream(server, {.timeout = absl::Milliseconds(300)}).status();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("the connection broke"));
}

TEST(HttplibTransportTest, WithoutAHeadTheServerIsUnavailable) {
  const CuttingServer server("HTTP/1.1 2");
  const absl::Status status = Stream(server, {}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST(HttplibTransportTest, TellsOfTheHeadWithTheServersTime) {
  const CuttingServer server(kHead);
  absl::Time date;
  Stream(server, {.on_head = [&](const HttpResponse& head) { date = head.date; }}).status().IgnoreError();
  EXPECT_EQ(date, absl::FromUnixSeconds(1'800'000'000));
}

}  // namespace
}  // namespace k8s
