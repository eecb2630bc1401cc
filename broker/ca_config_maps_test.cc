#include "broker/ca_config_maps.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include "k8s/core/names.h"
#include "k8s/fakes/fake_transport.h"

namespace broker {
namespace {

std::string PathIn(const std::string& namespace_name) {
  return absl::StrCat("/api/v1/namespaces/", namespace_name, "/configmaps/", k8s::kBrokerCaConfigMap);
}

class CaConfigMapsTest : public testing::Test {
 protected:
  CaConfigMapsTest() {
    for (const char* namespace_name : {"a", "b", "c"}) {
      imports_.Set({namespace_name, "import"}, std::make_shared<const k8s::ServiceAccountImport>());
    }
    api_.WaitForRequests("GET /api/v1/configmaps", 1);
  }

  std::string In(const std::string& namespace_name) {
    const std::optional<k8s::Json> map = api_.Find(PathIn(namespace_name));
    return map ? k8s::StringAt(*map, {"data", k8s::kCaKey}) : "";
  }
  void Edit(const std::string& namespace_name, const std::string& text) {
    api_.Put(PathIn(namespace_name), k8s::JsonObject{{"data", k8s::JsonObject{{k8s::kCaKey, text}}}});
  }
  // Until the watch has shown that all hold `bundle`.
  bool Settles(const std::string& bundle) {
    for (const absl::Time end = absl::Now() + absl::Seconds(10); absl::Now() < end;) {
      if (*maps_.Publish(bundle)) return true;
    }
    return false;
  }

  k8s::FakeTransport api_;
  k8s::Client client_{api_};
  k8s::InformerStore<k8s::ServiceAccountImport> imports_;
  CaConfigMaps maps_{client_, imports_, [] {}};
};

TEST_F(CaConfigMapsTest, EachNamespaceWithImportsGetsOne) {
  EXPECT_FALSE(*maps_.Publish("bundle"));
  for (const char* namespace_name : {"a", "b", "c"}) EXPECT_EQ(In(namespace_name), "bundle");
  EXPECT_TRUE(Settles("bundle"));
  EXPECT_FALSE(*maps_.Publish("next"));
}

// A quota, a policy of its own, an immutable ConfigMap: what its users may do.
TEST_F(CaConfigMapsTest, ANamespaceThatTakesNoneHoldsUpNobody) {
  for (const int http_status : {400, 403, 404, 422}) {
    const std::string bundle = absl::StrCat("bundle-", http_status);
    api_.FailNext("PATCH " + PathIn("a"), 1, http_status);
    EXPECT_TRUE(maps_.Publish(bundle).ok()) << http_status;
    EXPECT_EQ(In("b"), bundle);
    EXPECT_EQ(In("c"), bundle);
  }
}

TEST_F(CaConfigMapsTest, ATargetThatDoesNotAnswerIsAnErrorAndTheOthersGetTheirs) {
  api_.FailNext("PATCH " + PathIn("a"), 1, 503);
  EXPECT_TRUE(absl::IsUnavailable(maps_.Publish("bundle").status()));
  EXPECT_EQ(In("c"), "bundle");
  EXPECT_FALSE(*maps_.Publish("bundle"));
  EXPECT_EQ(In("a"), "bundle");
}

// Else who edits his copy often enough would hold up every rotation.
TEST_F(CaConfigMapsTest, ACopyThatSomebodyChangedIsMendedAndHoldsUpNoRotation) {
  maps_.Publish("bundle").IgnoreError();
  for (int i = 0; i < 20; ++i) {
    Edit("b", absl::StrCat("mine-", i));
    EXPECT_TRUE(*maps_.Publish("bundle"));
  }
  for (const absl::Time end = absl::Now() + absl::Seconds(10); In("b") != "bundle" && absl::Now() < end;) {
    maps_.Publish("bundle").IgnoreError();
  }
  EXPECT_EQ(In("b"), "bundle");
}

}  // namespace
}  // namespace broker
