#include "k8s/core/remote_config.h"

#include <absl/strings/escaping.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/core/names.h"

namespace k8s {
namespace {

using ::mcsa::v1::Config;

SecretString Token(const std::string& claims) {
  return SecretString("head." + absl::WebSafeBase64Escape(claims) + ".signature");
}

const SecretString kToken = Token(R"({"iat":1000,"exp":4600,"jti":"1","aud":["api"],"sub":"s"})");

std::map<std::string, SecretString> Data() {
  return BuildSecretData("import", {.server = "https://c2:6443", .ca_bundle = "CA", .namespace_name = "ns"}, kToken);
}

RemoteConfig Parsed(const std::map<std::string, SecretString>& data) {
  absl::StatusOr<RemoteConfig> config = ParseRemoteConfig("import", "c2", data);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.value_or(RemoteConfig());
}

Config Filled(absl::Duration age) {
  Config message;
  FillConfig(Parsed(Data()), age, "because", message);
  return message;
}

TEST(ParseRemoteConfigTest, ReadsTheKeysOfASecret) {
  const RemoteConfig config = Parsed(Data());
  EXPECT_EQ(config.cluster.server, "https://c2:6443");
  EXPECT_EQ(config.cluster.ca_bundle, "CA");
  EXPECT_EQ(config.cluster.namespace_name, "ns");
  EXPECT_TRUE(config.token.token == kToken);
}

TEST(ParseRemoteConfigTest, ARevokedSecretIsNotFound) {
  auto data = Data();
  data.erase(kTokenKey);
  EXPECT_EQ(ParseRemoteConfig("import", "c2", data).status().code(), absl::StatusCode::kNotFound);
}

TEST(ParseRemoteConfigTest, RefusesWhatIsNoTokenWithoutRepeatingIt) {
  auto data = Data();
  data[kTokenKey] = SecretString("canary");
  const absl::Status status = ParseRemoteConfig("import", "c2", data).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), ::testing::Not(::testing::HasSubstr("canary")));
}

TEST(FillConfigTest, ATokenRenewedInTimeIsFresh) {
  const Config message = Filled(absl::Minutes(36));
  EXPECT_EQ(message.state(), Config::FRESH);
  EXPECT_EQ(message.state_reason(), "");
  EXPECT_EQ(message.token(), kToken.Reveal());
  EXPECT_EQ(message.expires_in().seconds(), 24 * 60);
  EXPECT_EQ(message.issued_at().seconds(), 1000);
  EXPECT_EQ(message.expires_at().seconds(), 4600);
}

TEST(FillConfigTest, AnOverdueTokenIsStaleAndThere) {
  const Config message = Filled(absl::Minutes(42));
  EXPECT_EQ(message.state(), Config::STALE);
  EXPECT_EQ(message.state_reason(), "because");
  EXPECT_FALSE(message.token().empty());
}

TEST(FillConfigTest, AnExpiredTokenIsLeftOut) {
  const Config message = Filled(absl::Minutes(60));
  EXPECT_EQ(message.state(), Config::EXPIRED);
  EXPECT_EQ(message.token(), "");
  EXPECT_EQ(message.expires_in().seconds(), 0);
}

TEST(NotListedByPodTest, RefusesAndSaysWhatToDo) {
  const mcsa::v1::ImportError error = NotListedByPod("other");
  EXPECT_EQ(ToStatus("other", error).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(error.message(), ::testing::HasSubstr("\"other\""));
  EXPECT_THAT(error.message(), ::testing::HasSubstr(kImportNameKey));
}

TEST(NotListedByPodTest, RepeatsNoMoreThanAName) {
  EXPECT_LT(NotListedByPod(std::string(1 << 20, 'x')).message().size(), 512);
}

TEST(ConfigVersionTest, FollowsServerCaNamespaceAndToken) {
  const RemoteConfig config = Parsed(Data());
  RemoteConfig other = config;
  other.cluster_name = "";  // what a sidecar that has only files does not know
  EXPECT_EQ(ConfigVersion(config), ConfigVersion(other));
  for (std::string RemoteCluster::*field :
       {&RemoteCluster::server, &RemoteCluster::ca_bundle, &RemoteCluster::namespace_name}) {
    other = config;
    other.cluster.*field += "x";
    EXPECT_NE(ConfigVersion(config), ConfigVersion(other));
  }
  other = config;
  other.token.token = Token(R"({"iat":1001,"exp":4601})");
  EXPECT_NE(ConfigVersion(config), ConfigVersion(other));
}

}  // namespace
}  // namespace k8s
