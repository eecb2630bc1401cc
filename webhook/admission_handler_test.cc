#include "webhook/admission_handler.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/core/names.h"
#include "k8s/fakes/fake_clock.h"
#include "k8s/fakes/fake_transport.h"

namespace webhook {
namespace {

using k8s::Json;
using k8s::JsonArray;
using k8s::JsonObject;
using ::testing::HasSubstr;

constexpr char kImportPath[] = "/apis/multicluster.admiralty.io/v1alpha1/namespaces/team-a/serviceaccountimports/east";

Json ImportObject(bool ready) {
  return JsonObject{{"metadata", JsonObject{{"namespace", "team-a"}, {"name", "east"}, {"uid", "u"}}},
                    {"spec", JsonObject{{"clusterName", "c2"}, {"namespace", "default"}, {"name", "pod-lister"}}},
                    {"status", JsonObject{{"server", "https://10.0.0.1"},
                                          {"conditions", JsonArray{JsonObject{{"type", "Ready"},
                                                                              {"status", ready ? "True" : "False"},
                                                                              {"reason", "SourceUnreachable"},
                                                                              {"message", "no answer"}}}}}}};
}

class AdmissionHandlerTest : public testing::Test {
 protected:
  AdmissionHandlerTest() { SetNamespace({}); }

  void SetNamespace(std::map<std::string, std::string> annotations) {
    namespaces_.Set({"", "team-a"}, std::make_shared<k8s::ObjectMeta>(
                                        k8s::ObjectMeta{.name = "team-a", .annotations = std::move(annotations)}));
  }

  void Cache(bool ready) {
    imports_.Set({"team-a", "east"}, std::make_shared<Import>(ParseImport(ImportObject(ready)).value()));
  }

  // The response to the creation of a pod with these annotations and so many containers.
  Json Review(std::map<std::string, std::string> annotations = {}, size_t containers = 1) {
    annotations.emplace(k8s::kImportNameKey, "east");
    const Json review = JsonObject{
        {"apiVersion", "admission.k8s.io/v1"},
        {"kind", "AdmissionReview"},
        {"request",
         JsonObject{
             {"uid", "u1"},
             {"namespace", "team-a"},
             {"operation", "CREATE"},
             {"resource", JsonObject{{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
             {"object",
              JsonObject{{"metadata", JsonObject{{"annotations", k8s::ToJsonObject(annotations)}}},
                         {"spec", JsonObject{{"containers", JsonArray(containers, JsonObject{{"name", "app"}})}}}}}}}};
    const auto answer = handler_.Review(boost::json::serialize(review));
    return k8s::ParseJson(answer.value()).value().at("response");
  }

  static std::string Message(const Json& response) { return k8s::StringAt(response, {"status", "message"}); }
  static std::string Patch(const Json& response) {
    std::string patch;
    absl::Base64Unescape(k8s::StringAt(response, {"patch"}), &patch);
    return patch;
  }

  k8s::FakeTransport api_;
  k8s::Client client_{api_};
  k8s::FakeClock clock_;
  k8s::InformerStore<Import> imports_;
  k8s::InformerStore<k8s::ObjectMeta> namespaces_;
  Metrics metrics_;
  AdmissionHandler handler_{{.target = client_,
                             .imports = imports_,
                             .namespaces = namespaces_,
                             .metrics = metrics_,
                             .clock = clock_,
                             .sidecar_image = "sidecar:1"}};
};

TEST_F(AdmissionHandlerTest, ACachedImportCostsNoRequest) {
  Cache(/*ready=*/true);
  const Json response = Review();
  EXPECT_TRUE(k8s::BoolAt(response, {"allowed"}));
  EXPECT_THAT(Patch(response), HasSubstr("east-token-"));
  EXPECT_EQ(k8s::StringAt(response, {"auditAnnotations", "imports"}), "east");
  EXPECT_EQ(k8s::StringAt(response, {"auditAnnotations", "result"}), "allowed");
  EXPECT_EQ(api_.requests().size(), 0);
}

TEST_F(AdmissionHandlerTest, AnImportThatTheCacheDoesNotHaveReadyIsAskedForOnce) {
  api_.Put(kImportPath, ImportObject(true));
  EXPECT_TRUE(k8s::BoolAt(Review(), {"allowed"}));
  Cache(/*ready=*/false);
  EXPECT_TRUE(k8s::BoolAt(Review(), {"allowed"}));
  EXPECT_EQ(api_.requests().size(), 2);
}

TEST_F(AdmissionHandlerTest, AMissingImportIsNamed) {
  const Json response = Review();
  EXPECT_FALSE(k8s::BoolAt(response, {"allowed"}));
  EXPECT_EQ(k8s::IntAt(response, {"status", "code"}), 403);
  EXPECT_THAT(Message(response), HasSubstr("there is no ServiceAccountImport east in namespace team-a; create it"));
}

TEST_F(AdmissionHandlerTest, AnImportThatIsNotReadySaysWhy) {
  api_.Put(kImportPath, ImportObject(false));
  EXPECT_THAT(Message(Review()), HasSubstr("import east is not ready: SourceUnreachable: no answer"));
}

TEST_F(AdmissionHandlerTest, AnApiServerOutOfReachIsNotTheUsersFault) {
  api_.FailNext("GET", 1, absl::UnavailableError("connection refused"));
  const Json response = Review();
  EXPECT_EQ(k8s::IntAt(response, {"status", "code"}), 503);
  EXPECT_THAT(Message(response), HasSubstr("import east cannot be read"));
}

TEST_F(AdmissionHandlerTest, LiveGetsAreCountedByTheirResult) {
  Review();
  api_.FailNext("GET", 1, 500);
  Review();
  api_.Put(kImportPath, ImportObject(true));
  Review();
  for (const char* result : {"missing", "error", "found"}) {
    EXPECT_THAT(metrics_.Render(), HasSubstr(absl::StrCat("live_gets_total{result=\"", result, "\"} 1"))) << result;
  }
}

// The API server itself gives up after 10 s.
TEST_F(AdmissionHandlerTest, AnApiServerThatHangsIsWaitedForNoLongerThanTheBudget) {
  namespaces_.Erase({"", "team-a"});
  api_.Hang("GET");
  const absl::Time before = absl::Now();
  EXPECT_THAT(Message(Review()), HasSubstr("namespace team-a cannot be read: no answer in time"));
  EXPECT_LT(absl::Now() - before, absl::Seconds(8));
}

TEST_F(AdmissionHandlerTest, AllLiveGetsOfAPodShareOneBudget) {
  namespaces_.Erase({"", "team-a"});
  api_.Respond("GET /api/v1/namespaces/team-a", [&](const k8s::HttpRequest& request) {
    EXPECT_EQ(request.timeout, absl::Seconds(3));
    clock_.Advance(absl::Milliseconds(2900));
    return k8s::HttpResponse{.status = 200, .body = k8s::SecretString("{}")};
  });
  api_.Hang(std::string("GET ") + kImportPath);
  const absl::Time before = absl::Now();
  EXPECT_THAT(Message(Review()), HasSubstr("import east cannot be read: no answer in time"));
  EXPECT_LT(absl::Now() - before, absl::Seconds(2));
}

TEST_F(AdmissionHandlerTest, TheSidecarIsTheNamespacesDefaultAndThePodWins) {
  Cache(/*ready=*/false);
  SetNamespace({{k8s::kSidecarKey, "enabled"}});
  const Json response = Review();
  EXPECT_THAT(Patch(response), HasSubstr("mcsa-sidecar"));
  EXPECT_EQ(k8s::StringAt(response, {"auditAnnotations", "sidecar"}), "enabled");
  Cache(/*ready=*/true);
  EXPECT_THAT(Patch(Review({{k8s::kSidecarKey, "disabled"}})), testing::Not(HasSubstr("mcsa-sidecar")));
}

TEST_F(AdmissionHandlerTest, ANewNamespaceIsAskedForItsDefault) {
  Cache(/*ready=*/true);
  namespaces_.Erase({"", "team-a"});
  api_.Put("/api/v1/namespaces/team-a",
           JsonObject{{"metadata", JsonObject{{"annotations", JsonObject{{k8s::kSidecarKey, "enabled"}}}}}});
  EXPECT_THAT(Patch(Review()), HasSubstr("mcsa-sidecar"));
}

TEST_F(AdmissionHandlerTest, AWrongDefaultNamesTheNamespace) {
  SetNamespace({{k8s::kSidecarKey, "yes"}});
  EXPECT_THAT(Message(Review()), HasSubstr("namespace team-a: annotation"));
}

TEST_F(AdmissionHandlerTest, TheAuditLogKeepsWhyAPodWasRefused) {
  const auto audited = [](const Json& response) { return k8s::StringAt(response, {"auditAnnotations", "message"}); };
  EXPECT_THAT(audited(Review({{k8s::kImportNameKey, "a b"}})), HasSubstr("lists \"a b\", which is no name"));
  EXPECT_THAT(audited(Review()), HasSubstr("there is no ServiceAccountImport east"));
  EXPECT_EQ(audited(Review({{k8s::kImportNameKey, std::string(253, 'a') + "," + std::string(253, 'b')}})).size(), 512);
  Cache(/*ready=*/true);
  EXPECT_EQ(k8s::Find(Review(), {"auditAnnotations", "message"}), nullptr);
}

TEST_F(AdmissionHandlerTest, WhatIsNoReviewIsCountedAndRefused) {
  EXPECT_FALSE(handler_.Review("{}").ok());
  EXPECT_THAT(metrics_.Render(), HasSubstr("mcsa_admission_malformed_total 1"));
}

// Boost needs 17 to 28 times the bytes of these.
TEST_F(AdmissionHandlerTest, ABodyThatIsSmallOnlyUntilItIsParsedIsRefused) {
  for (const std::string item : {"[0]", "\"\"", "0", "{}"}) {
    std::string body = "[" + item;
    while (body.size() < 2'900'000) body += "," + item;
    const absl::Status status = handler_.Review(body + "]").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << item;
    EXPECT_THAT(std::string(status.message()), HasSubstr("MiB of memory once parsed")) << item;
  }
}

TEST_F(AdmissionHandlerTest, APodWithMoreMountsThanAnyHasIsRefused) {
  Cache(/*ready=*/true);
  EXPECT_TRUE(k8s::BoolAt(Review({}, /*containers=*/500), {"allowed"}));
  const Json response = Review({}, /*containers=*/501);
  EXPECT_EQ(k8s::IntAt(response, {"status", "code"}), 422);
  EXPECT_THAT(Message(response), HasSubstr("has 501 containers and asks for 1 imports; at most 500 mounts"));
}

TEST_F(AdmissionHandlerTest, APodOfTheLargestSizeThatAnApiServerTakesIsAdmitted) {
  Cache(/*ready=*/true);
  // As what others keep in annotations: JSON in JSON.
  const Json response = Review({{"example.com/state", std::string(1'400'000, '"')}});
  EXPECT_TRUE(k8s::BoolAt(response, {"allowed"}));
  EXPECT_THAT(Patch(response), HasSubstr("east-token-"));
}

TEST_F(AdmissionHandlerTest, NothingIsEverWritten) {
  api_.Put(kImportPath, ImportObject(true));
  Review();
  for (const auto& request : api_.requests()) EXPECT_EQ(request.method, "GET");
}

}  // namespace
}  // namespace webhook
