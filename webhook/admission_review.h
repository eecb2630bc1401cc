#ifndef WEBHOOK_ADMISSION_REVIEW_H_
#define WEBHOOK_ADMISSION_REVIEW_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/core/json.h"

namespace webhook {

// What an API server asks: admission.k8s.io/v1, an AdmissionReview with a request.
struct AdmissionRequest {
  std::string uid;
  std::string namespace_name;
  bool creates_pod = false;  // anything else is none of our business
  bool dry_run = false;
  k8s::Json object;  // the pod
};

// INVALID_ARGUMENT, without any content: no JSON, nested too deeply, or no AdmissionReview.
absl::StatusOr<AdmissionRequest> ParseAdmissionReview(std::string_view body);

struct AdmissionResponse {
  absl::Status status;                       // OK: allowed
  k8s::JsonArray patch;                      // RFC 6902
  std::vector<std::string> warnings;         // kubectl prints them
  std::map<std::string, std::string> audit;  // the API server's audit log keeps them
};

// The AdmissionReview that answers `uid`, as JSON. A refusal's code is what the user's client sees:
//   INVALID_ARGUMENT 422     FAILED_PRECONDITION, NOT_FOUND 403     all others 503
std::string BuildAdmissionReview(const std::string& uid, AdmissionResponse response);

}  // namespace webhook

#endif  // WEBHOOK_ADMISSION_REVIEW_H_
