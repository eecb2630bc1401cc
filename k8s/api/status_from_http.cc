#include "k8s/api/status_from_http.h"

#include <absl/strings/cord.h>
#include <absl/strings/str_cat.h>

#include "k8s/core/json.h"

namespace k8s {
namespace {

constexpr char kDetailsKindUrl[] = "mcsa/details-kind";
constexpr size_t kMaxMessageBytes = 1024;

absl::StatusCode CodeOf(int http_status, const std::string& reason, const std::string& message) {
  switch (http_status) {
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 405:
    case 406:
    case 415:
      return absl::StatusCode::kUnimplemented;
    case 409:
      return reason == "AlreadyExists" ? absl::StatusCode::kAlreadyExists : absl::StatusCode::kAborted;
    case 410:
      return absl::StatusCode::kOutOfRange;
    case 422:
      // The API server has no reason of its own for this; the field is in the message.
      return message.find("metadata.uid") != std::string::npos ? absl::StatusCode::kFailedPrecondition
                                                               : absl::StatusCode::kInvalidArgument;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    default:
      return http_status >= 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kInvalidArgument;
  }
}

}  // namespace

absl::Status StatusFromHttp(int http_status, std::string_view body) {
  std::string message, reason, kind;
  // Not every answer is a metav1.Status: a proxy in between says what it likes, and that text is not repeated.
  if (absl::StatusOr<Json> json = ParseJson(body); json.ok() && StringAt(*json, {"kind"}) == "Status") {
    message = CutUtf8(StringAt(*json, {"message"}), kMaxMessageBytes);
    reason = StringAt(*json, {"reason"});
    kind = StringAt(*json, {"details", "kind"});
  }
  if (message.empty()) message = absl::StrCat("the server answered HTTP ", http_status);
  absl::Status status(CodeOf(http_status, reason, message), message);
  if (!kind.empty()) status.SetPayload(kDetailsKindUrl, absl::Cord(kind));
  return status;
}

std::string DetailsKind(const absl::Status& status) {
  const auto payload = status.GetPayload(kDetailsKindUrl);
  return payload ? std::string(*payload) : "";
}

}  // namespace k8s
