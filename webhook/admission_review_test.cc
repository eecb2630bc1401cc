#include "webhook/admission_review.h"

#include <absl/strings/escaping.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace webhook {
namespace {

using k8s::Json;
using k8s::JsonArray;
using k8s::JsonObject;

Json Review() {
  return JsonObject{
      {"apiVersion", "admission.k8s.io/v1"},
      {"kind", "AdmissionReview"},
      {"request", JsonObject{{"uid", "u1"},
                             {"namespace", "team-a"},
                             {"operation", "CREATE"},
                             {"dryRun", true},
                             {"resource", JsonObject{{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
                             {"object", JsonObject{{"kind", "Pod"}}}}}};
}

TEST(AdmissionReviewTest, ReadsWhatTheApiServerAsks) {
  const auto request = ParseAdmissionReview(boost::json::serialize(Review()));
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->uid, "u1");
  EXPECT_EQ(request->namespace_name, "team-a");
  EXPECT_TRUE(request->creates_pod);
  EXPECT_TRUE(request->dry_run);
  EXPECT_EQ(request->object, (Json{{"kind", "Pod"}}));
}

TEST(AdmissionReviewTest, OtherRequestsAreNoneOfOurBusiness) {
  for (const auto& [key, value] :
       {std::pair("operation", Json("UPDATE")), std::pair("subResource", Json("ephemeralcontainers")),
        std::pair("resource", Json{{"resource", "jobs"}})}) {
    Json review = Review();
    review.at("request").as_object()[key] = value;
    const auto request = ParseAdmissionReview(boost::json::serialize(review));
    ASSERT_TRUE(request.ok());
    EXPECT_FALSE(request->creates_pod) << key;
  }
}

TEST(AdmissionReviewTest, MalformedOnesAreErrorsWithoutTheirContent) {
  Json without_uid = Review(), without_object = Review(), v1beta1 = Review();
  without_uid.at("request").as_object().erase("uid");
  without_object.at("request").as_object().erase("object");
  v1beta1.as_object()["apiVersion"] = "admission.k8s.io/v1beta1";
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  for (const std::string& body :
       {std::string(), std::string("{"), std::string("[]"), std::string("\xff\xfe"), std::string("canary"), deep,
        boost::json::serialize(without_uid), boost::json::serialize(without_object), boost::json::serialize(v1beta1)}) {
    const auto request = ParseAdmissionReview(body);
    EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << body.substr(0, 100);
    EXPECT_THAT(std::string(request.status().message()), testing::Not(testing::HasSubstr("canary")));
  }
}

// Every text that begins as a review does, and ends anywhere.
TEST(AdmissionReviewTest, HalfAReviewIsAnError) {
  const std::string whole = boost::json::serialize(Review());
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(ParseAdmissionReview(whole.substr(0, size)).ok());
}

TEST(AdmissionReviewTest, AnAllowedPodComesWithItsPatch) {
  const Json answer = k8s::ParseJson(BuildAdmissionReview("u1", {.patch = JsonArray{JsonObject{{"op", "add"}}},
                                                                 .warnings = {"look", std::string(1000, 'x')},
                                                                 .audit = {{"imports", "a"}}}))
                          .value();
  EXPECT_EQ(k8s::StringAt(answer, {"kind"}), "AdmissionReview");
  EXPECT_EQ(k8s::StringAt(answer, {"response", "uid"}), "u1");
  EXPECT_TRUE(k8s::BoolAt(answer, {"response", "allowed"}));
  EXPECT_EQ(k8s::StringAt(answer, {"response", "patchType"}), "JSONPatch");
  std::string patch;
  ASSERT_TRUE(absl::Base64Unescape(k8s::StringAt(answer, {"response", "patch"}), &patch));
  EXPECT_EQ(patch, R"([{"op":"add"}])");
  EXPECT_EQ(k8s::StringsAt(answer, {"response", "warnings"})[1].size(), 256);
  EXPECT_EQ(k8s::StringAt(answer, {"response", "auditAnnotations", "imports"}), "a");
}

TEST(AdmissionReviewTest, ARefusalsCodeSaysWhoMustAct) {
  for (const auto& [status, code] :
       {std::pair(absl::InvalidArgumentError("m"), 422), std::pair(absl::NotFoundError("m"), 403),
        std::pair(absl::FailedPreconditionError("m"), 403), std::pair(absl::UnavailableError("m"), 503),
        std::pair(absl::DeadlineExceededError("m"), 503)}) {
    const Json answer = k8s::ParseJson(BuildAdmissionReview("u1", {.status = status})).value();
    EXPECT_FALSE(k8s::BoolAt(answer, {"response", "allowed"}));
    EXPECT_EQ(k8s::IntAt(answer, {"response", "status", "code"}), code);
    EXPECT_EQ(k8s::StringAt(answer, {"response", "status", "message"}), "m");
    EXPECT_EQ(k8s::Find(answer, {"response", "patch"}), nullptr);
  }
}

}  // namespace
}  // namespace webhook
