#include "broker/authorize_caller.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace broker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const Caller kCaller{.namespace_name = "team-a", .pod_name = "pod", .pod_uid = "u1", .account = "", .token_id = ""};
const InjectedPod kPod{.uid = "u1", .injected = true, .imports = {"a", "b", "c"}};

std::string Bearer(const std::string& audiences) {
  return absl::StrCat("Bearer h.",
                      absl::WebSafeBase64Escape(R"({"iat":1,"exp":601,"jti":"j","aud":)" + audiences + "}"), ".s");
}

k8s::BoundToken OurToken() {
  return *ParseBearer(Bearer(R"(["multicluster-service-account"])"));
}

// The answer of Kubernetes 1.37 to a TokenReview, with `with` in the place of `replace`.
k8s::Json Review(std::string_view replace = "", std::string_view with = "") {
  std::string text = R"({"status":{"authenticated":true,"audiences":["multicluster-service-account"],
      "user":{"username":"system:serviceaccount:team-a:default","uid":"s1",
              "extra":{"authentication.kubernetes.io/pod-name":["pod"],"authentication.kubernetes.io/pod-uid":["u1"]}}}})";
  if (!replace.empty()) text.replace(text.find(replace), replace.size(), with);
  return *k8s::ParseJson(text);
}

k8s::Json Pod(std::string_view label, std::string_view container, std::string_view args) {
  return *k8s::ParseJson(
      absl::StrCat(R"({"metadata":{"uid":"u1","labels":{"multicluster.admiralty.io/injected":")", std::string(label),
                   R"("}},"spec":{"initContainers":[{"name":"first","args":["--import=x"]},{"name":")",
                   std::string(container), R"(","args":)", std::string(args), "}]}}"));
}

TEST(ParseBearerTest, TakesATokenForUsAlone) {
  EXPECT_EQ(OurToken().token_id, "JTI=j");
}

TEST(ParseBearerTest, RefusesWhatIsNotForUsAlone) {
  for (const std::string& bad :
       {std::string(), std::string("Bearer "), std::string("Bearer canary"), std::string("Basic dTpw"), Bearer("[]"),
        Bearer(R"(["https://kubernetes.default.svc"])"), Bearer(R"(["multicluster-service-account","vault"])")}) {
    const absl::Status status = ParseBearer(bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("call again")) << bad;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
  }
}

TEST(ParseTokenReviewTest, NamesThePodThatTheTokenIsBoundTo) {
  const absl::StatusOr<Caller> caller = ParseTokenReview(Review(), OurToken());
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->namespace_name, "team-a");
  EXPECT_EQ(caller->pod_name, "pod");
  EXPECT_EQ(caller->pod_uid, "u1");
  EXPECT_EQ(caller->token_id, "JTI=j");
}

TEST(ParseTokenReviewTest, RefusesWhatTheApiServerDoesNotVouchFor) {
  for (const auto& [replace, with] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {R"("authenticated":true)", R"("error":"token has expired")"},
           {R"("audiences":["multicluster-service-account"])", R"("audiences":[])"},
           {R"("audiences":["multicluster-service-account"],)", ""},
           {"system:serviceaccount:team-a:default", "system:node:n1"},
           {"system:serviceaccount:team-a:default", "system:serviceaccount:"},
           {R"("authentication.kubernetes.io/pod-uid":["u1"])", R"("x":[])"},
           {R"(["u1"])", R"(["u1","u2"])"}}) {
    EXPECT_EQ(ParseTokenReview(Review(replace, with), OurToken()).status().code(), absl::StatusCode::kUnauthenticated)
        << with;
  }
}

TEST(ParseTokenReviewTest, TellsWhatTheApiServerSaid) {
  EXPECT_THAT(
      std::string(ParseTokenReview(Review(R"("authenticated":true)", R"("error":"token has expired")"), OurToken())
                      .status()
                      .message()),
      HasSubstr("token has expired"));
}

TEST(ParseInjectedPodTest, ReadsTheSidecarsArgumentsOnly) {
  const InjectedPod pod = ParseInjectedPod(
      Pod("true", "mcsa-sidecar", R"(["run","--import=b","--import=a","--import=b","--log-level=info"])"));
  EXPECT_TRUE(pod.injected);
  EXPECT_EQ(pod.uid, "u1");
  EXPECT_THAT(pod.imports, ElementsAre("a", "b"));
}

TEST(ParseInjectedPodTest, WithoutLabelOrSidecarItIsNotOurs) {
  EXPECT_FALSE(ParseInjectedPod(Pod("false", "mcsa-sidecar", R"(["--import=a"])")).injected);
  EXPECT_FALSE(ParseInjectedPod(Pod("true", "other", R"(["--import=a"])")).injected);
}

TEST(ParseInjectedPodTest, SkipsWhatIsNoName) {
  EXPECT_THAT(ParseInjectedPod(Pod("true", "mcsa-sidecar", R"(["--import=../x","--import=","--import=A"])")).imports,
              IsEmpty());
}

TEST(AuthorizeCallerTest, GrantsWhatThePodLists) {
  const absl::StatusOr<Grant> grant = AuthorizeCaller(kCaller, &kPod, {"c", "a", "c"});
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_THAT(grant->allowed, ElementsAre("a", "c"));
  EXPECT_THAT(grant->refused, IsEmpty());
}

TEST(AuthorizeCallerTest, WithoutNamesGrantsAllThatThePodLists) {
  EXPECT_THAT(AuthorizeCaller(kCaller, &kPod, {})->allowed, ElementsAre("a", "b", "c"));
}

TEST(AuthorizeCallerTest, RefusesOneImportBesideTheOthers) {
  const absl::StatusOr<Grant> grant = AuthorizeCaller(kCaller, &kPod, {"b", "d"});
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_THAT(grant->allowed, ElementsAre("b"));
  EXPECT_THAT(grant->refused, ElementsAre("d"));
}

TEST(AuthorizeCallerTest, ThePodMustLiveAndBeTheSame) {
  const InjectedPod made_again{.uid = "u2", .injected = true, .imports = {"a"}};
  EXPECT_TRUE(absl::IsUnauthenticated(AuthorizeCaller(kCaller, nullptr, {"a"}).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(AuthorizeCaller(kCaller, &made_again, {"a"}).status()));
}

TEST(AuthorizeCallerTest, ThePodMustBeInjected) {
  const InjectedPod bare{.uid = "u1"};
  const absl::Status status = AuthorizeCaller(kCaller, &bare, {"a"}).status();
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("service-account-import.sidecar=enabled"));
}

TEST(AuthorizeCallerTest, RefusesMalformedAndEndlessRequests) {
  EXPECT_TRUE(absl::IsInvalidArgument(AuthorizeCaller(kCaller, &kPod, {"../a"}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(AuthorizeCaller(kCaller, &kPod, {"a", ""}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      AuthorizeCaller(kCaller, &kPod, std::vector<std::string>(kMaxImportsOfPod + 1)).status()));
}

}  // namespace
}  // namespace broker
