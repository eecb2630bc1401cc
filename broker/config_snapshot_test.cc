#include "broker/config_snapshot.h"

#include <absl/strings/escaping.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace broker {
namespace {

using ::mcsa::v1::Config;
using ::mcsa::v1::ImportError;
using ::mcsa::v1::ImportState;
using ::testing::HasSubstr;

const absl::Duration kNow = absl::Hours(100);  // since the machine started

k8s::RemoteConfig HourConfig(const std::string& id = "1") {
  const std::string claims = R"({"iat":1000,"exp":4600,"jti":")" + id + R"("})";
  return {.import_name = "import",
          .cluster_name = "c2",
          .cluster = {.server = "https://c2:6443", .ca_bundle = "CA", .namespace_name = "ns"},
          .token = *k8s::ParseBoundToken(k8s::SecretString("h." + absl::WebSafeBase64Escape(claims) + ".s"))};
}

k8s::ServiceAccountImport Import(bool ready, const std::string& reason) {
  k8s::ServiceAccountImport import;
  import.meta.name = "import";
  k8s::SetCondition(import.status, {.type = "Ready", .status = ready, .reason = reason, .message = "A sentence"},
                    absl::UnixEpoch());
  return import;
}

ConfigSnapshot Snapshot(const k8s::ServiceAccountImport* import, const absl::StatusOr<k8s::RemoteConfig>& config,
                        absl::Duration age = absl::ZeroDuration(), const ConfigSnapshot* before = nullptr) {
  return BuildSnapshot("import", import, import ? import->status : k8s::ImportStatus(), config, age, kNow, before);
}

ImportState MessageAt(const ConfigSnapshot& snapshot, absl::Duration now) {
  ImportState state;
  FillImportState(snapshot, now, state);
  return state;
}

TEST(BuildSnapshotTest, ATokenThatIsThereIsServed) {
  const auto import = Import(true, "TokenIssued");
  const ImportState state = MessageAt(Snapshot(&import, HourConfig()), kNow);
  EXPECT_EQ(state.name(), "import");
  EXPECT_EQ(state.config().state(), Config::FRESH);
}

TEST(BuildSnapshotTest, WithoutATokenTheReasonDecidesWhatTheReceiverDoes) {
  struct Case {
    const char* reason;
    ImportError::Code code;
    absl::StatusCode status;
  };
  for (const Case& c :
       {Case{"NotAllowedByPolicy", ImportError::REVOKED, absl::StatusCode::kFailedPrecondition},
        Case{"RemoteServiceAccountNotFound", ImportError::REVOKED, absl::StatusCode::kFailedPrecondition},
        Case{"SourceUnreachable", ImportError::NOT_READY, absl::StatusCode::kUnavailable},
        Case{"NamespaceNotServed", ImportError::NOT_READY, absl::StatusCode::kUnavailable}}) {
    const auto import = Import(false, c.reason);
    const ConfigSnapshot snapshot = Snapshot(&import, absl::NotFoundError("no token"));
    EXPECT_EQ(snapshot.code, c.code) << c.reason;
    EXPECT_EQ(MessageAt(snapshot, kNow).error().reason(), c.reason);
    EXPECT_EQ(MessageAt(snapshot, kNow).error().message(), "A sentence");
    EXPECT_EQ(ToStatus(snapshot).code(), c.status) << c.reason;
  }
}

TEST(BuildSnapshotTest, AnImportThatNobodyLookedAtIsNotReady) {
  const k8s::ServiceAccountImport import;
  EXPECT_EQ(Snapshot(&import, absl::NotFoundError("no Secret")).code, ImportError::NOT_READY);
}

TEST(BuildSnapshotTest, ARevokedSecretBeforeTheStatusSaysSoIsNotReady) {
  const auto import = Import(true, "TokenIssued");
  EXPECT_EQ(Snapshot(&import, absl::NotFoundError("no token")).code, ImportError::NOT_READY);
}

TEST(BuildSnapshotTest, AMissingImportIsNotFound) {
  const ConfigSnapshot snapshot = Snapshot(nullptr, absl::NotFoundError(""));
  EXPECT_EQ(snapshot.code, ImportError::NOT_FOUND);
  EXPECT_EQ(ToStatus(snapshot).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ToStatus(snapshot).message()), HasSubstr("import"));
}

TEST(BuildSnapshotTest, TheSameTokenKeepsItsAge) {
  const auto import = Import(true, "TokenIssued");
  const ConfigSnapshot before = Snapshot(&import, HourConfig(), absl::Minutes(10));
  EXPECT_EQ(Snapshot(&import, HourConfig(), absl::Minutes(50), &before).issued_at, kNow - absl::Minutes(10));
  EXPECT_EQ(Snapshot(&import, HourConfig("2"), absl::Minutes(1), &before).issued_at, kNow - absl::Minutes(1));
}

TEST(FillImportStateTest, TimeAloneMakesItStaleAndExpired) {
  const auto import = Import(true, "TokenIssued");
  const ConfigSnapshot snapshot = Snapshot(&import, HourConfig());
  EXPECT_EQ(MessageAt(snapshot, kNow + absl::Minutes(42) - absl::Nanoseconds(1)).config().state(), Config::FRESH);
  EXPECT_EQ(MessageAt(snapshot, kNow + absl::Minutes(42)).config().state(), Config::STALE);
  EXPECT_EQ(MessageAt(snapshot, kNow + absl::Minutes(42)).config().state_reason(), "A sentence");
  EXPECT_EQ(MessageAt(snapshot, kNow + absl::Minutes(60)).config().state(), Config::EXPIRED);
}

// As a receiver reads it.
mcsa::v1::WatchConfigsResponse Decode(const std::vector<grpc::Slice>& slices) {
  std::string bytes;
  for (const grpc::Slice& slice : slices) bytes.append(slice.begin(), slice.end());
  mcsa::v1::WatchConfigsResponse response;
  EXPECT_TRUE(response.ParseFromString(bytes));
  return response;
}

TEST(EncodeTest, SaysWhatTheMessageSays) {
  const auto import = Import(true, "TokenIssued");
  const ConfigSnapshot snapshot = Snapshot(&import, HourConfig());
  EXPECT_EQ(Decode({Encode(snapshot, kNow)}).imports(0).SerializeAsString(),
            MessageAt(snapshot, kNow).SerializeAsString());
}

TEST(EncodeTest, ImportsBehindEachOtherAreOneMessage) {
  const auto import = Import(true, "TokenIssued");
  const auto message =
      Decode({Encode(Snapshot(&import, HourConfig()), kNow), Encode(Snapshot(nullptr, absl::NotFoundError("")), kNow)});
  ASSERT_EQ(message.imports_size(), 2);
  EXPECT_EQ(message.imports(0).config().state(), Config::FRESH);
  EXPECT_EQ(message.imports(1).error().code(), ImportError::NOT_FOUND);
}

TEST(EncodeTest, WhoAsksInTheSameMomentSharesTheBytes) {
  const auto import = Import(true, "TokenIssued");
  const ConfigSnapshot snapshot = Snapshot(&import, HourConfig());
  const grpc::Slice first = Encode(snapshot, kNow);
  EXPECT_EQ(Encode(snapshot, kNow + EncodedState::kMoment - absl::Nanoseconds(1)).begin(), first.begin());
  EXPECT_NE(Encode(snapshot, kNow + EncodedState::kMoment).begin(), first.begin());
}

TEST(EncodeTest, LaterTheTokenIsOver) {
  const auto import = Import(true, "TokenIssued");
  const ConfigSnapshot snapshot = Snapshot(&import, HourConfig());
  EXPECT_NE(Decode({Encode(snapshot, kNow)}).imports(0).config().token(), "");
  const auto late = Decode({Encode(snapshot, kNow + absl::Hours(1))});
  EXPECT_EQ(late.imports(0).config().token(), "");
  EXPECT_EQ(late.imports(0).config().state(), Config::EXPIRED);
}

TEST(NextChangeTest, IsTheNextOfStaleAndExpired) {
  const auto import = Import(true, "TokenIssued");
  const ConfigSnapshot snapshot = Snapshot(&import, HourConfig());
  EXPECT_EQ(NextChange(snapshot, kNow), absl::Minutes(42));
  EXPECT_EQ(NextChange(snapshot, kNow + absl::Minutes(42)), absl::Minutes(18));
  EXPECT_EQ(NextChange(snapshot, kNow + absl::Minutes(60)), absl::InfiniteDuration());
  EXPECT_EQ(NextChange(Snapshot(nullptr, absl::NotFoundError("")), kNow), absl::InfiniteDuration());
}

TEST(SaysTheSameTest, NoticesTokensAndErrors) {
  const auto ready = Import(true, "TokenIssued");
  const auto refused = Import(false, "NotAllowedByPolicy");
  const auto unreachable = Import(false, "SourceUnreachable");
  const absl::Status none = absl::NotFoundError("");
  EXPECT_TRUE(SaysTheSame(Snapshot(&ready, HourConfig()), Snapshot(&ready, HourConfig(), absl::Minutes(1))));
  EXPECT_FALSE(SaysTheSame(Snapshot(&ready, HourConfig()), Snapshot(&ready, HourConfig("2"))));
  EXPECT_FALSE(SaysTheSame(Snapshot(&ready, HourConfig()), Snapshot(&ready, none)));
  EXPECT_TRUE(SaysTheSame(Snapshot(&refused, none), Snapshot(&refused, none)));
  EXPECT_FALSE(SaysTheSame(Snapshot(&refused, none), Snapshot(&unreachable, none)));
}

}  // namespace
}  // namespace broker
