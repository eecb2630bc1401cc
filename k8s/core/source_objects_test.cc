#include "k8s/core/source_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "k8s/core/object.h"

namespace k8s {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// "kind namespace/name" of each.
std::vector<std::string> Ids(const std::vector<Json>& objects) {
  std::vector<std::string> ids;
  for (const Json& object : objects) ids.push_back(StringAt(object, {"kind"}) + " " + ToString(KeyOf(object)));
  return ids;
}

const Json& Named(const std::vector<Json>& objects, const std::string& id) {
  const std::vector<std::string> ids = Ids(objects);
  const auto found = std::find(ids.begin(), ids.end(), id);
  EXPECT_NE(found, ids.end()) << id;
  return objects.at(found - ids.begin());
}

std::vector<std::string> Expressions(const SourceTrust& trust) {
  std::vector<std::string> expressions;
  for (const Json& policy : BuildFence(trust)) {
    for (const char* list : {"variables", "validations"}) {
      for (const Json& entry : ArrayAt(policy, {"spec", list})) expressions.push_back(StringAt(entry, {"expression"}));
    }
  }
  return expressions;
}

TEST(BuildSourceGrantsTest, WithoutOnlyTheyAreClusterWide) {
  EXPECT_THAT(Ids(BuildSourceGrants({.target_name = "cluster1"})),
              ElementsAre("ClusterRole mcsa:cluster1", "ClusterRoleBinding mcsa:cluster1"));
}

TEST(BuildSourceGrantsTest, WithOnlyNothingIsGrantedClusterWide) {
  const std::vector<Json> grants =
      BuildSourceGrants({.target_name = "cluster1", .only = {{"team-a", "reports"}, {"team-b", ""}}});
  EXPECT_THAT(Ids(grants),
              ElementsAre("ClusterRole mcsa:cluster1", "Role team-a/mcsa:cluster1:accounts",
                          "RoleBinding team-a/mcsa:cluster1:accounts", "Role team-b/mcsa:cluster1:accounts",
                          "RoleBinding team-b/mcsa:cluster1:accounts"));
  EXPECT_THAT(ArrayAt(grants[0], {"rules"}), SizeIs(0));
}

TEST(BuildSourceGrantsTest, AnAccountIsGrantedByName) {
  const std::vector<Json> grants = BuildSourceGrants({.target_name = "cluster1", .only = {{"team-a", "reports"}}});
  for (const Json& rule : ArrayAt(Named(grants, "Role team-a/mcsa:cluster1:accounts"), {"rules"})) {
    EXPECT_THAT(StringsAt(rule, {"resourceNames"}), ElementsAre("reports"));
  }
}

TEST(BuildSourceGrantsTest, AWholeNamespaceIsNotNarrowedByAnAccountOfIt) {
  const std::vector<Json> grants =
      BuildSourceGrants({.target_name = "cluster1", .only = {{"team-a", "reports"}, {"team-a", ""}}});
  for (const Json& rule : ArrayAt(Named(grants, "Role team-a/mcsa:cluster1:accounts"), {"rules"})) {
    EXPECT_EQ(Find(rule, {"resourceNames"}), nullptr);
  }
}

TEST(BuildSourceGrantsTest, NoneIsOfSecrets) {
  for (const SourceTrust& trust :
       {SourceTrust{.target_name = "t"}, SourceTrust{.target_name = "t", .only = {{"a", ""}}}}) {
    for (const Json& object : BuildSourceGrants(trust)) {
      EXPECT_THAT(boost::json::serialize(object), Not(HasSubstr("secrets")));
    }
  }
}

TEST(BuildSourceObjectsTest, FenceAndGrantsBothKeepTheTrust) {
  const SourceTrust trust{.target_name = "cluster1", .only = {{"a", "b"}}, .denied = {{"a", "c"}}, .audiences = {"x"}};
  EXPECT_EQ(*ParseTrust(Named(BuildFence(trust), "ValidatingAdmissionPolicy mcsa-cluster1")), trust);
  EXPECT_EQ(*ParseTrust(Named(BuildSourceGrants(trust), "ClusterRole mcsa:cluster1")), trust);
}

TEST(BuildFenceTest, ConcernsTheBrokersIdentityAlone) {
  for (const Json& object : BuildFence({.target_name = "cluster1"})) {
    if (StringAt(object, {"kind"}) != "ValidatingAdmissionPolicy") continue;
    const JsonArray& conditions = ArrayAt(object, {"spec", "matchConditions"});
    ASSERT_THAT(conditions, SizeIs(1));
    EXPECT_EQ(StringAt(conditions[0], {"expression"}),
              "request.userInfo.username == 'system:serviceaccount:multicluster-service-account:cluster1'");
    EXPECT_EQ(Find(object, {"spec", "paramKind"}), nullptr);
  }
}

TEST(BuildFenceTest, EveryPolicyIsBound) {
  std::vector<std::string> policies, bound;
  for (const Json& object : BuildFence({.target_name = "cluster1"})) {
    if (StringAt(object, {"kind"}) == "ValidatingAdmissionPolicy") {
      policies.push_back(KeyOf(object).name);
    } else {
      bound.push_back(StringAt(object, {"spec", "policyName"}));
      EXPECT_THAT(StringsAt(object, {"spec", "validationActions"}), ElementsAre("Deny"));
    }
  }
  EXPECT_EQ(policies, bound);
}

TEST(BuildFenceTest, NoPolicyHasMoreChecksThanCelCanPay) {
  for (const Json& object : BuildFence({.target_name = "cluster1"})) {
    int checks = 0;
    for (const Json& validation : ArrayAt(object, {"spec", "validations"})) {
      checks += StringAt(validation, {"expression"}).find(".check(") != std::string::npos;
    }
    EXPECT_LE(checks, 10'000'000 / 350'000) << KeyOf(object).name;
  }
}

// Who waits until that one refuses has the others too: an API server sees objects of a kind in the order of their
// writes.
TEST(BuildFenceTest, ThePolicyThatIsTriedComesLast) {
  const std::vector<Json> fence = BuildFence({.target_name = "cluster1"});
  ASSERT_THAT(fence, SizeIs(Gt(2u)));
  EXPECT_EQ(StringAt(fence.back(), {"spec", "policyName"}), FenceName("cluster1"));
  EXPECT_THAT(boost::json::serialize(fence[fence.size() - 2]), HasSubstr("expirationSeconds <="));
}

TEST(BuildFenceTest, TwoTargetsShareNoPart) {
  std::vector<std::string> ids = Ids(BuildFence({.target_name = "b"}));
  for (const std::string& id : Ids(BuildFence({.target_name = "2-b"}))) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
}

TEST(BuildFenceTest, ListsWhatWasAllowedAndDenied) {
  const SourceTrust trust{.target_name = "t",
                          .powerful = {{"ops", "backup"}},
                          .denied = {{"ops", "ci"}},
                          .audiences = {"https://own", "v"}};
  EXPECT_THAT(Expressions(trust), Contains(HasSubstr("variables.account in ['ops/backup']")));
  EXPECT_THAT(Expressions(trust), Contains(HasSubstr("variables.account in ['ops/ci']")));
  EXPECT_THAT(Expressions(trust), Contains(HasSubstr("a in ['https://own', 'v']")));
}

TEST(BuildFenceTest, AnAudienceCannotLeaveItsQuotes) {
  const SourceTrust trust{.target_name = "t", .audiences = {R"(x'] || true || a in ['\)"}};
  EXPECT_THAT(Expressions(trust), Contains(HasSubstr(R"(['x\'] || true || a in [\'\\'])")));
}

TEST(SourceObjectNamesTest, AreOfOneTargetEach) {
  EXPECT_EQ(SourceObjectName("cluster1"), "mcsa:cluster1");
  EXPECT_EQ(NamespaceGrantName("cluster1"), "mcsa:cluster1:accounts");
  EXPECT_EQ(FenceName("cluster1"), "mcsa-cluster1");
}

}  // namespace
}  // namespace k8s
