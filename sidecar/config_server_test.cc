#include "sidecar/config_server.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "k8s/fakes/fake_clock.h"
#include "mcsa/v1/config_service.grpc.pb.h"

namespace sidecar {
namespace {

using ::mcsa::v1::Config;
using ::mcsa::v1::ConfigService;
using ::mcsa::v1::ImportError;
using ::mcsa::v1::WatchConfigsResponse;
using ::testing::HasSubstr;

class ConfigServerTest : public ::testing::Test {
 protected:
  static int SocketPair(int& other) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    other = ends[1];
    return ends[0];
  }

  ConfigServer::Import Of(const std::string& name, const std::string& token) {
    ConfigServer::Import import;
    import.state.set_name(name);
    Config& config = *import.state.mutable_config();
    config.set_name(name);
    config.set_token(token);
    config.set_state(Config::FRESH);
    import.ends_at = clock_.Monotonic() + absl::Minutes(10);
    return import;
  }

  static ConfigServer::Import Without(const std::string& name, ImportError::Code code) {
    ConfigServer::Import import;
    import.state.set_name(name);
    import.state.mutable_error()->set_code(code);
    import.state.mutable_error()->set_reason("Because");
    return import;
  }

  std::unique_ptr<ConfigService::Stub> Dial(ConfigServer& server) {
    int ours = -1;
    server.Serve(SocketPair(ours));
    return ConfigService::NewStub(grpc::CreateInsecureChannelFromFd("test", ours));
  }

  grpc::Status Get(ConfigService::Stub& stub, const std::string& name) {
    grpc::ClientContext context;
    mcsa::v1::GetConfigRequest request;
    request.set_name(name);
    mcsa::v1::GetConfigResponse response;
    const grpc::Status status = stub.GetConfig(&context, request, &response);
    config_ = response.config();
    return status;
  }

  k8s::FakeClock clock_;
  Config config_;
};

TEST_F(ConfigServerTest, AnswersWithWhatIsLeftOfTheLife) {
  ConfigServer server(clock_, {Of("a", "one"), Of("b", "two")});
  const auto stub = Dial(server);
  clock_.Advance(absl::Minutes(4));
  ASSERT_TRUE(Get(*stub, "b").ok());
  EXPECT_EQ(config_.token(), "two");
  EXPECT_EQ(config_.expires_in().seconds(), 360);
}

TEST_F(ConfigServerTest, AnErrorSaysWhatToDoNext) {
  ConfigServer server(clock_, {Without("a", ImportError::REVOKED), Without("b", ImportError::NOT_READY)});
  const auto stub = Dial(server);
  EXPECT_EQ(Get(*stub, "a").error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Get(*stub, "b").error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Get(*stub, "").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const grpc::Status other = Get(*stub, "other");
  EXPECT_EQ(other.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(other.error_message(), HasSubstr("annotation"));
}

TEST_F(ConfigServerTest, AStreamHearsOfEachChangeOfItsImportsAndOfNoOther) {
  ConfigServer server(clock_, {Of("a", "one"), Of("b", "one")});
  const auto stub = Dial(server);
  grpc::ClientContext context;
  mcsa::v1::WatchConfigsRequest request;
  request.add_names("a");
  request.add_names("other");
  const auto reader = stub->WatchConfigs(&context, request);
  WatchConfigsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_EQ(response.imports_size(), 2);
  EXPECT_EQ(response.imports(0).config().token(), "one");
  EXPECT_EQ(response.imports(0).config().expires_in().seconds(), 600);
  EXPECT_EQ(response.imports(1).error().code(), ImportError::NOT_ALLOWED);
  EXPECT_EQ(response.imports(1).error().reason(), "NotListedByPod");

  server.Publish({Of("a", "one"), Of("b", "two")});
  server.Publish({Of("a", "three"), Of("b", "two")});
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.imports(0).config().token(), "three");
  context.TryCancel();
}

TEST_F(ConfigServerTest, ASlowReaderGetsTheNewest) {
  ConfigServer server(clock_, {Of("a", "0")});
  const auto stub = Dial(server);
  grpc::ClientContext context;
  const auto reader = stub->WatchConfigs(&context, {});
  WatchConfigsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  // More than the connection's buffers hold, so that most are never sent.
  constexpr int kUpdates = 2000;
  for (int i = 1; i <= kUpdates; ++i) server.Publish({Of("a", std::to_string(i) + std::string(20'000, ' '))});
  int messages = 0;
  while (!response.imports(0).config().token().starts_with(std::to_string(kUpdates))) {
    ASSERT_TRUE(reader->Read(&response));
    ++messages;
  }
  EXPECT_LT(messages, kUpdates);
  context.TryCancel();
}

TEST_F(ConfigServerTest, MoreStreamsThanOnePodNeedsAreRefused) {
  ConfigServer server(clock_, {Of("a", "one")});
  const auto first = Dial(server), second = Dial(server), third = Dial(server);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<WatchConfigsResponse>>> readers;
  WatchConfigsResponse response;
  for (int i = 0; i < 256; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back((i % 2 == 0 ? first : second)->WatchConfigs(contexts.back().get(), {}));
    ASSERT_TRUE(readers.back()->Read(&response)) << i;
  }
  grpc::ClientContext context;
  const auto refused = third->WatchConfigs(&context, {});
  EXPECT_FALSE(refused->Read(&response));
  EXPECT_EQ(refused->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Get(*third, "a").ok());
  for (const auto& open : contexts) open->TryCancel();
}

TEST_F(ConfigServerTest, GarbageAndHalfFramesHurtNobodyElse) {
  ConfigServer server(clock_, {Of("a", "one")});
  const auto stub = Dial(server);
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(100'000, '\xff'),
                                   std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", 26), std::string()}) {
    int ours = -1;
    server.Serve(SocketPair(ours));
    (void)!write(ours, bytes.data(), bytes.size());
    EXPECT_TRUE(Get(*stub, "a").ok());
    close(ours);
  }
  EXPECT_TRUE(Get(*stub, "a").ok());
}

TEST_F(ConfigServerTest, ARequestOfTenMegabytesIsRefused) {
  ConfigServer server(clock_, {Of("a", "one")});
  const auto stub = Dial(server);
  EXPECT_EQ(Get(*stub, std::string(10 << 20, 'a')).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Get(*stub, "a").ok());
}

}  // namespace
}  // namespace sidecar
