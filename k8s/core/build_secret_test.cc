#include "k8s/core/build_secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/core/kubeconfig.h"
#include "k8s/core/service_account_import.h"

namespace k8s {
namespace {

using ::testing::HasSubstr;

const RemoteCluster kCluster{.server = "https://c2:6443", .ca_bundle = "CA", .namespace_name = "ns"};

TEST(SecretNameTest, IsANameOfAtMost253Characters) {
  EXPECT_THAT(SecretName("import", "uid"), ::testing::MatchesRegex("import-token-[0-9a-f]{10}"));
  for (size_t length = 1; length <= 253; ++length) {
    // A dot or dash where the cut falls.
    std::string name(length, 'a');
    for (size_t i = 1; i < length; i += 2) name[i] = i + 1 < length ? (i % 3 ? '.' : '-') : 'a';
    if (name.size() > 1 && !IsDnsSubdomain(name)) continue;
    EXPECT_TRUE(IsDnsSubdomain(SecretName(name, "uid"))) << name;
  }
}

TEST(SecretNameTest, DiffersForAnImportMadeAnew) {
  EXPECT_NE(SecretName("import", "1"), SecretName("import", "2"));
}

TEST(BuildSecretDataTest, HasSixKeysAndTwoKubeconfigs) {
  const auto data = BuildSecretData("import", kCluster, SecretString("t"));
  ASSERT_EQ(data.size(), 6);
  const auto by_file = ParseKubeconfig(data.at(kConfigKey).Reveal(), "/");
  ASSERT_TRUE(by_file.ok());
  EXPECT_EQ(by_file->contexts.at("import").token_file,
            "/var/run/secrets/admiralty.io/serviceaccountimports/import/token");
  EXPECT_TRUE(by_file->contexts.at("import").token.empty());
  const auto by_value = ParseKubeconfig(data.at(kConfigInlineKey).Reveal(), "/");
  ASSERT_TRUE(by_value.ok());
  EXPECT_EQ(by_value->contexts.at("import").token_file, "");
  EXPECT_TRUE(by_value->contexts.at("import").token == SecretString("t"));
  EXPECT_EQ(by_value->contexts.at("import").ca_data, "CA");
  EXPECT_EQ(by_value->contexts.at("import").namespace_name, "ns");
}

TEST(BuildSecretTest, LeavesOutALabelThatWouldBeTooLong) {
  const Json secret = BuildSecret({.namespace_name = "ns", .name = std::string(64, 'a'), .uid = "u"}, {});
  EXPECT_EQ(Find(secret, {"metadata", "labels", kImportNameKey}), nullptr);
  EXPECT_EQ(StringAt(secret, {"metadata", "labels", kManagedByLabel}), kManagedByValue);
}

TEST(BuildSecretTest, RoundTripsItsData) {
  const auto data = BuildSecretData("import", kCluster, SecretString("t"));
  EXPECT_EQ(ParseSecretData(BuildSecret({.namespace_name = "ns", .name = "import", .uid = "u"}, data)), data);
}

TEST(BuildSecretTest, NeverUsesStringData) {
  const Json secret =
      BuildSecret({.name = "import", .uid = "u"}, BuildSecretData("import", kCluster, SecretString("t")));
  EXPECT_THAT(boost::json::serialize(secret), Not(HasSubstr("stringData")));
}

}  // namespace
}  // namespace k8s
