#include "client/cpp/sidecar_client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "k8s/fakes/import_folder.h"
#include "mcsa/v1/config_service.grpc.pb.h"

namespace mcsa {
namespace {

using ::testing::ElementsAre;
using v1::ImportError;
using v1::WatchConfigsResponse;

// Serves what it is told of the import "a".
class FakeSidecar : public v1::ConfigService::Service {
 public:
  explicit FakeSidecar(const std::string& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeSidecar() override { server_->Shutdown(std::chrono::system_clock::now()); }

  void Set(const std::string& token) {
    v1::ImportState state;
    state.set_name("a");
    state.mutable_config()->set_name("a");
    state.mutable_config()->set_server("https://east");
    state.mutable_config()->set_token(token);
    Set(state);
  }
  void Set(const v1::ImportState& state) {
    std::lock_guard lock(mu_);
    state_ = state;
    ++version_;
    changed_.notify_all();
  }

  grpc::Status WatchConfigs(grpc::ServerContext* context, const v1::WatchConfigsRequest*,
                            grpc::ServerWriter<WatchConfigsResponse>* writer) override {
    std::unique_lock lock(mu_);
    for (int sent = 0; !context->IsCancelled();) {
      if (sent == version_) {
        changed_.wait_for(lock, std::chrono::milliseconds(20));
        continue;
      }
      sent = version_;
      WatchConfigsResponse response;
      *response.add_imports() = state_;
      writer->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status GetConfig(grpc::ServerContext*, const v1::GetConfigRequest* request,
                         v1::GetConfigResponse* response) override {
    if (request->name() != "a") return {grpc::StatusCode::PERMISSION_DENIED, "not of this pod"};
    std::lock_guard lock(mu_);
    *response->mutable_config() = state_.config();
    return grpc::Status::OK;
  }

 private:
  std::unique_ptr<grpc::Server> server_;
  std::mutex mu_;
  std::condition_variable changed_;
  int version_ = 0;        // guarded by mu_
  v1::ImportState state_;  // guarded by mu_
};

class SidecarClientTest : public ::testing::Test {
 protected:
  SidecarClientTest() {
    options_.socket = socket_folder_ + "/s";
    options_.configs.imports_directory = folder_ / "imports";
    options_.on_change = [this](const std::string& import, const absl::StatusOr<ConfigSnapshot>& config) {
      std::lock_guard lock(mu_);
      heard_.push_back(
          import + "=" +
          (config.ok() ? std::string((*config)->token.Reveal()) : absl::StatusCodeToString(config.status().code())));
      changed_.notify_all();
    };
    k8s::WriteAtomically(folder_ / "imports/a", k8s::ImportFiles("from-file"));
  }

  ~SidecarClientTest() override { std::filesystem::remove_all(socket_folder_); }

  // The test's own folder has too long a name for a socket.
  static std::string MakeSocketFolder() {
    std::string path = "/tmp/mcsa.XXXXXX";
    return mkdtemp(path.data());
  }

  // The last that on_change was called with becomes `last`.
  bool Hears(const std::string& last) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !heard_.empty() && heard_.back() == last; });
  }

  std::string Token(const RemoteConfig& config) {
    const auto token = config.token();
    return token.ok() ? std::string(token->Reveal()) : absl::StatusCodeToString(token.status().code());
  }

  const std::string socket_folder_ = MakeSocketFolder();
  const k8s::TemporaryFolder folder_;
  SidecarOptions options_;
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::string> heard_;  // guarded by mu_
};

TEST_F(SidecarClientTest, WhatTheSidecarPushesIsThereAtOnce) {
  FakeSidecar sidecar(options_.socket);
  sidecar.Set("one");
  SidecarClient client({"a"}, options_);
  const auto config = client.Config("a");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(Token(*config), "one");
  sidecar.Set("two");
  ASSERT_TRUE(Hears("a=two"));
  EXPECT_EQ(Token(*config), "two");
  EXPECT_EQ((*client.GetConfig("a"))->token.Reveal(), "two");
}

TEST_F(SidecarClientTest, WithoutASidecarTheFilesServe) {
  SidecarClient client({"a"}, options_);
  const auto config = client.Config("a");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(Token(*config), "from-file");
  EXPECT_EQ((*client.GetConfig("a"))->token.Reveal(), "from-file");
  EXPECT_TRUE(Hears("a=from-file"));
  k8s::WriteAtomically(folder_ / "imports/a", k8s::ImportFiles("renewed"));
  EXPECT_EQ(Token(*config), "renewed");
  EXPECT_TRUE(Hears("a=renewed"));
}

TEST_F(SidecarClientTest, ASidecarThatIsRestartedShowsNoError) {
  auto sidecar = std::make_unique<FakeSidecar>(options_.socket);
  sidecar->Set("one");
  SidecarClient client({"a"}, options_);
  const auto config = client.Config("a");
  ASSERT_TRUE(config.ok()) << config.status();
  sidecar.reset();
  EXPECT_TRUE(Hears("a=from-file"));
  EXPECT_EQ(Token(*config), "from-file");
  EXPECT_EQ((*client.GetConfig("a"))->token.Reveal(), "from-file");
  sidecar = std::make_unique<FakeSidecar>(options_.socket);
  sidecar->Set("two");
  EXPECT_TRUE(Hears("a=two"));
  std::lock_guard lock(mu_);
  EXPECT_THAT(heard_, ElementsAre("a=one", "a=from-file", "a=two"));
}

TEST_F(SidecarClientTest, ASocketThatHangsIsGivenUpAfterTheTimeout) {
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {.sun_family = AF_UNIX};
  options_.socket.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener, 10), 0);
  options_.timeout = absl::Milliseconds(300);
  const auto start = std::chrono::steady_clock::now();
  SidecarClient client({"a"}, options_);
  const auto config = client.Config("a");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(Token(*config), "from-file");
  EXPECT_EQ((*client.GetConfig("a"))->token.Reveal(), "from-file");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  close(listener);
}

TEST_F(SidecarClientTest, ARevocationIsAnErrorThatTheAppCanActOn) {
  FakeSidecar sidecar(options_.socket);
  sidecar.Set("one");
  SidecarClient client({"a"}, options_);
  const auto config = client.Config("a");
  ASSERT_TRUE(config.ok()) << config.status();
  v1::ImportState state;
  state.set_name("a");
  state.mutable_error()->set_code(ImportError::REVOKED);
  sidecar.Set(state);
  EXPECT_TRUE(Hears("a=UNAUTHENTICATED"));
  EXPECT_EQ(Token(*config), "UNAUTHENTICATED");
}

TEST_F(SidecarClientTest, AnImportThatIsNotOfThisPodIsRefused) {
  FakeSidecar sidecar(options_.socket);
  sidecar.Set("one");
  SidecarClient client({}, options_);
  EXPECT_TRUE(absl::IsNotFound(client.Config("b").status()));
  EXPECT_TRUE(absl::IsPermissionDenied(client.GetConfig("b").status()));
}

}  // namespace
}  // namespace mcsa
