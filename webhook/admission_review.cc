#include "webhook/admission_review.h"

#include <absl/strings/escaping.h>

#include <utility>

namespace webhook {
namespace {

using k8s::Json;
using k8s::JsonArray;
using k8s::JsonObject;

constexpr char kApiVersion[] = "admission.k8s.io/v1";
constexpr char kKind[] = "AdmissionReview";
// The API server joins all warnings into headers and cuts longer ones (k8s.io/apiserver, warning).
constexpr size_t kMaxWarningBytes = 256;

struct Refusal {
  int code;
  const char* reason;  // metav1.StatusReason
};

Refusal RefusalOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return {422, "Invalid"};
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
      return {403, "Forbidden"};
    default:
      return {503, "ServiceUnavailable"};
  }
}

}  // namespace

absl::StatusOr<AdmissionRequest> ParseAdmissionReview(std::string_view body) {
  absl::StatusOr<Json> review = k8s::ParseJson(body);
  if (!review.ok()) return review.status();
  if (k8s::StringAt(*review, {"apiVersion"}) != kApiVersion || k8s::StringAt(*review, {"kind"}) != kKind) {
    return absl::InvalidArgumentError("the body is no AdmissionReview of admission.k8s.io/v1");
  }
  AdmissionRequest request{.uid = k8s::StringAt(*review, {"request", "uid"}),
                           .namespace_name = k8s::StringAt(*review, {"request", "namespace"}),
                           .dry_run = k8s::BoolAt(*review, {"request", "dryRun"})};
  if (request.uid.empty()) return absl::InvalidArgumentError("the AdmissionReview has no request with a uid");
  request.creates_pod = k8s::StringAt(*review, {"request", "operation"}) == "CREATE" &&
                        k8s::StringAt(*review, {"request", "resource", "resource"}) == "pods" &&
                        k8s::StringAt(*review, {"request", "resource", "group"}).empty() &&
                        k8s::StringAt(*review, {"request", "subResource"}).empty();
  if (!request.creates_pod) return request;
  Json& object = review->at("request").as_object()["object"];
  if (!object.is_object()) return absl::InvalidArgumentError("the AdmissionReview's request has no object");
  request.object = std::move(object);
  return request;
}

std::string BuildAdmissionReview(const std::string& uid, AdmissionResponse response) {
  JsonObject answer{{"uid", uid}, {"allowed", response.status.ok()}};
  if (!response.status.ok()) {
    const Refusal refusal = RefusalOf(response.status);
    answer["status"] = JsonObject{
        {"code", refusal.code}, {"reason", refusal.reason}, {"message", std::string(response.status.message())}};
  } else if (!response.patch.empty()) {
    answer["patchType"] = "JSONPatch";
    answer["patch"] = absl::Base64Escape(boost::json::serialize(response.patch));
  }
  if (!response.warnings.empty()) {
    JsonArray warnings;
    for (const std::string& warning : response.warnings)
      warnings.push_back(Json(k8s::CutUtf8(warning, kMaxWarningBytes)));
    answer["warnings"] = std::move(warnings);
  }
  if (!response.audit.empty()) answer["auditAnnotations"] = k8s::ToJsonObject(response.audit);
  return boost::json::serialize(
      JsonObject{{"apiVersion", kApiVersion}, {"kind", kKind}, {"response", std::move(answer)}});
}

}  // namespace webhook
