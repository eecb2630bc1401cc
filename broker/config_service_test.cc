#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "broker/service_under_test.h"

namespace broker {
namespace {

using mcsa::v1::ImportError;
using mcsa::v1::WatchConfigsResponse;
using ::testing::HasSubstr;

class ConfigServiceTest : public ServiceUnderTest {};

TEST_F(ConfigServiceTest, AStreamBringsWhatIsThereAndWhatComes) {
  const auto watch = Open("pod");
  AwaitStreams(1);
  store_.Set({"ns", "a"}, Snapshot("a", "First"), /*tell=*/true);
  EXPECT_EQ(Next(*watch), "First");
  store_.Set({"ns", "a"}, Snapshot("a", "Second"), /*tell=*/true);
  EXPECT_EQ(Next(*watch), "Second");
  EXPECT_EQ(Next(*Open("other")), "Second");
}

TEST_F(ConfigServiceTest, ASlowReaderGetsTheNewestAndNotAllInBetween) {
  const auto watch = Open("pod");
  AwaitStreams(1);
  constexpr int kChanges = 500;
  for (int i = 1; i <= kChanges; ++i) {
    store_.Set({"ns", "a"}, Snapshot("a", absl::StrCat("Change", i), /*bytes=*/100'000), /*tell=*/true);
  }
  int messages = 1;
  while (Next(*watch) != absl::StrCat("Change", kChanges)) ++messages;
  EXPECT_LT(messages, kChanges / 2);
}

TEST_F(ConfigServiceTest, WhatHasBeenSentIsNotSentAgain) {
  const auto watch = Open("pod");
  AwaitStreams(1);
  const ConfigStore::Pointer first = Snapshot("a", "First");
  store_.Set({"ns", "a"}, first, /*tell=*/true);
  EXPECT_EQ(Next(*watch), "First");
  store_.Set({"ns", "a"}, first, /*tell=*/true);
  store_.Set({"ns", "a"}, Snapshot("a", "Second"), /*tell=*/true);
  EXPECT_EQ(Next(*watch), "Second");
}

TEST_F(ConfigServiceTest, AnImportThatHangsHoldsUpTheOthersForASecondOnly) {
  const auto watch = Open("pod", {"a", "b"});
  AwaitStreams(1);
  store_.Set({"ns", "a"}, Snapshot("a", "There"), /*tell=*/true);
  WatchConfigsResponse message;
  ASSERT_TRUE(watch->reader->Read(&message));
  EXPECT_EQ(message.imports(0).error().reason(), "There");
  EXPECT_EQ(message.imports(1).error().code(), ImportError::NOT_READY);
  EXPECT_EQ(message.imports(1).error().reason(), "Pending");
  store_.Set({"ns", "b"}, Snapshot("b", "ThereToo"), /*tell=*/true);
  EXPECT_EQ(Next(*watch, 1), "ThereToo");
}

TEST_F(ConfigServiceTest, TheStreamsOfAPodEndWithIt) {
  const auto watch = Open("pod");
  const auto other = Open("other");
  AwaitStreams(2);
  service_.EndStreamsOf("pod");
  EXPECT_EQ(Next(*watch), "");
  EXPECT_EQ(watch->reader->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  AwaitStreams(1);
  store_.Set({"ns", "a"}, Snapshot("a", "Still"), /*tell=*/true);
  EXPECT_EQ(Next(*other), "Still");
}

TEST_F(ConfigServiceTest, AReaderThatDoesNotReadIsCutOffToo) {
  const auto watch = Open("pod");
  AwaitStreams(1);
  for (int i = 0; i < 100; ++i) {
    store_.Set({"ns", "a"}, Snapshot("a", "Much", /*bytes=*/1'000'000), /*tell=*/true);
  }
  service_.EndStreamsOf("pod");
  AwaitStreams(0);
}

TEST_F(ConfigServiceTest, AReplicaThatStopsSendsItsClientsElsewhere) {
  const auto watch = Open("pod");
  AwaitStreams(1);
  service_.Stop();
  EXPECT_EQ(Next(*watch), "");
  EXPECT_EQ(watch->reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto late = Open("pod");
  EXPECT_EQ(Next(*late), "");
  EXPECT_EQ(late->reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

class ShortConnectionsTest : public ServiceUnderTest {
 protected:
  ShortConnectionsTest() : ServiceUnderTest(/*max_connection_age=*/absl::Seconds(1)) {}
};

TEST_F(ShortConnectionsTest, AStreamEndsByItsConnectionsAgeAndTheNextIsAuthorizedAnew) {
  const auto watch = Open("pod");
  AwaitStreams(1);
  store_.Set({"ns", "a"}, Snapshot("a", "First"), /*tell=*/true);
  EXPECT_EQ(Next(*watch), "First");
  pods_.Erase({"ns", "pod"});  // and nobody tells the service
  EXPECT_EQ(Next(*watch), "");
  EXPECT_EQ(watch->reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto next = Open("pod");
  EXPECT_EQ(Next(*next), "");
  EXPECT_EQ(next->reader->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(ConfigServiceTest, NoMoreStreamsThanThereIsMemoryFor) {
  std::vector<std::unique_ptr<Watch>> watches;
  for (size_t i = 0; i < kMaxStreams; ++i) {
    AddPod(absl::StrCat("pod-", i));
    watches.push_back(Open(absl::StrCat("pod-", i)));
  }
  AwaitStreams(kMaxStreams);
  store_.Set({"ns", "a"}, Snapshot("a", "Here"), /*tell=*/true);
  const auto refused = Open("pod");
  ASSERT_EQ(Next(*refused), "");
  EXPECT_EQ(refused->reader->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  watches.back()->context.TryCancel();
  AwaitStreams(kMaxStreams - 1);
  EXPECT_EQ(Next(*Open("pod")), "Here");
}

TEST_F(ConfigServiceTest, APodThatIsGoneWhileItCallsGetsNoStream) {
  review_ = [&](const k8s::HttpRequest& request) {
    pods_.Erase({"ns", "pod"});  // and the watch has told of it before there was a stream to end
    return Review(request);
  };
  const auto watch = Open("pod");
  EXPECT_EQ(Next(*watch), "");
  EXPECT_EQ(watch->reader->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  AwaitStreams(0);
}

TEST_F(ConfigServiceTest, GarbageIsNoRequest) {
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(kServerName);
  grpc::GenericStub stub(grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                                   grpc::SslCredentials({.pem_root_certs = ca_}), arguments));
  const grpc::Slice garbage("\xff\xff\xff");
  const grpc::ByteBuffer request(&garbage, 1);
  grpc::ByteBuffer response;
  grpc::ClientContext context;
  std::promise<grpc::Status> status;
  stub.UnaryCall(&context, "/mcsa.v1.ConfigService/WatchConfigs", {}, &request, &response,
                 [&](grpc::Status ended) { status.set_value(std::move(ended)); });
  EXPECT_EQ(status.get_future().get().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ConfigServiceTest, AnApiServerThatDoesNotAnswerIsNoReasonToDespair) {
  review_ = [](const k8s::HttpRequest&) { return k8s::HttpResponse{.status = 503}; };
  const auto watch = Open("pod");
  EXPECT_EQ(Next(*watch), "");
  const grpc::Status status = watch->reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("call again"));
}

TEST_F(ConfigServiceTest, ANewCertificateIsShownToNewConnectionsOnly) {
  const auto old = Open("pod");
  AwaitStreams(1);
  const std::string old_ca = ca_;
  for (int rotation = 0; rotation < 2; ++rotation) {
    UseNewCa();
    EXPECT_EQ(Next(*[&] {
                const auto tell = Snapshot("a", absl::StrCat("Rotation", rotation));
                store_.Set({"ns", "a"}, tell, /*tell=*/true);
                return Open("other");
              }()),
              absl::StrCat("Rotation", rotation));
    EXPECT_EQ(Next(*old), absl::StrCat("Rotation", rotation));
  }
  ca_ = old_ca;
  const auto distrustful = Open("other");
  EXPECT_EQ(Next(*distrustful), "");
  EXPECT_EQ(distrustful->reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// Most of all under AddressSanitizer.
TEST_F(ConfigServiceTest, StreamsThatComeAndGoLeaveNothingBehind) {
  for (int i = 0; i < 20; ++i) AddPod(absl::StrCat("pod-", i));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; !done; ++i) store_.Set({"ns", "a"}, Snapshot("a", absl::StrCat(i)), /*tell=*/true);
  });
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 25; ++i) {
        const auto watch = Open(absl::StrCat("pod-", (c * 25 + i) % 20));
        if (i % 3 != 0) Next(*watch);
        watch->context.TryCancel();
        watch->reader->Finish();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  done = true;
  writer.join();
  AwaitStreams(0);
  while (!store_.DropUnwanted({"ns", "a"})) std::this_thread::yield();
}

}  // namespace
}  // namespace broker
