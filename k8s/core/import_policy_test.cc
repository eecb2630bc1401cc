#include "k8s/core/import_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/core/names.h"

namespace k8s {
namespace {

using ::testing::HasSubstr;

ServiceAccountImport Import(const std::string& target_namespace, const std::string& source_namespace) {
  ServiceAccountImport import;
  import.meta.namespace_name = target_namespace;
  import.meta.name = "import";
  import.spec = {.cluster_name = "east", .namespace_name = source_namespace, .name = "reader"};
  return import;
}

std::vector<ImportPolicy> Policies(const std::string& rules) {
  absl::StatusOr<Json> json = ParseJson(R"({"metadata": {"name": "p"}, "spec": {"rules": )" + rules + "}}");
  absl::StatusOr<ImportPolicy> policy = ParseImportPolicy(*json);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return {*policy};
}

PolicyDecision Decide(const ServiceAccountImport& import, const std::string& rules) {
  return DecideImport(import, {{"team", "a"}}, {}, Policies(rules));
}

TEST(DecideImportTest, WithoutAPolicyNothingIsAllowed) {
  EXPECT_FALSE(DecideImport(Import("a", "a"), {}, {}, {}).allowed);
}

struct Case {
  const char* sentence;
  ServiceAccountImport import;
  const char* rules;
  bool allowed;
};

TEST(DecideImportTest, FollowsTheRules) {
  ServiceAccountImport with_audience = Import("a", "a");
  with_audience.spec.audiences = {"vault"};
  ServiceAccountImport long_lived = Import("a", "a");
  long_lived.spec.expiration = absl::Hours(2);
  const Case kCases[] = {
      {"the same namespace", Import("a", "a"), R"([{"sameNamespace": true}])", true},
      {"another namespace", Import("a", "b"), R"([{"sameNamespace": true}])", false},
      {"kube-system is not the same namespace as itself", Import("kube-system", "kube-system"),
       R"([{"sameNamespace": true}])", false},
      {"kube-* by a glob", Import("a", "kube-system"), R"([{"sourceNamespaces": ["*"]}])", false},
      {"kube-* by its full name", Import("a", "kube-system"), R"([{"sourceNamespaces": ["kube-system"]}])", true},
      {"the broker's own identities, by a glob", Import("a", kBrokerNamespace), R"([{"sourceNamespaces": ["*"]}])",
       false},
      {"the broker's own identities, by name", Import("a", kBrokerNamespace),
       R"([{"sourceNamespaces": ["multicluster-service-account"]}])", false},
      {"a glob", Import("a", "team-b"), R"([{"sourceNamespaces": ["team-*"]}])", true},
      {"a label that is there", Import("a", "a"),
       R"([{"sameNamespace": true, "targetNamespaces": {"matchLabels": {"team": "a"}}}])", true},
      {"a label that is not", Import("a", "a"),
       R"([{"sameNamespace": true, "targetNamespaces": {"matchLabels": {"team": "b"}}}])", false},
      {"another cluster", Import("a", "a"), R"([{"sameNamespace": true, "sourceClusters": ["west"]}])", false},
      {"another account", Import("a", "a"), R"([{"sameNamespace": true, "accountNames": ["writer"]}])", false},
      {"an audience that no rule names", with_audience, R"([{"sameNamespace": true}])", false},
      {"an audience that a rule names", with_audience, R"([{"sameNamespace": true, "audiences": ["vault"]}])", true},
      {"a life that is too long", long_lived, R"([{"sameNamespace": true, "maxExpirationSeconds": 3600}])", false},
      {"rules add up", Import("a", "b"), R"([{"sameNamespace": true}, {"sourceNamespaces": ["b"]}])", true},
  };
  for (const Case& test : kCases) {
    EXPECT_EQ(Decide(test.import, test.rules).allowed, test.allowed) << test.sentence;
  }
}

TEST(DecideImportTest, ANumberBoundsTheOlderImportsThatTheRuleMatches) {
  const auto policies = Policies(R"([{"sameNamespace": true, "maxImports": 2}])");
  const auto same = std::make_shared<const ServiceAccountImport>(Import("a", "a"));
  const auto other = std::make_shared<const ServiceAccountImport>(Import("a", "b"));
  EXPECT_TRUE(DecideImport(Import("a", "a"), {}, {same}, policies).allowed);
  EXPECT_FALSE(DecideImport(Import("a", "a"), {}, {same, same}, policies).allowed);
  EXPECT_TRUE(DecideImport(Import("a", "a"), {}, {same, other, other}, policies).allowed);
}

TEST(DecideImportTest, SaysWhichRuleAllowsAndWhatIsInTheWay) {
  EXPECT_EQ(Decide(Import("a", "a"), R"([{"sameNamespace": true}])").rule, "p[0]");
  EXPECT_THAT(Decide(Import("a", "b"), R"([{"sameNamespace": true}])").reason, HasSubstr("p[0]"));
}

TEST(ParseImportPolicyTest, ARuleThatWouldAllowEverySourceNamespaceIsRefused) {
  absl::StatusOr<Json> json = ParseJson(R"({"metadata": {"name": "p"}, "spec": {"rules": [{}]}})");
  EXPECT_TRUE(absl::IsInvalidArgument(ParseImportPolicy(*json).status()));
}

}  // namespace
}  // namespace k8s
