#ifndef K8S_API_STATUS_FROM_HTTP_H_
#define K8S_API_STATUS_FROM_HTTP_H_

#include <absl/status/status.h>

#include <optional>
#include <string>
#include <string_view>

namespace k8s {

// An API server's answer of 400 or more as a Status; its `message` is kept (cut at 1 KiB), its body otherwise not.
//
//   400 INVALID_ARGUMENT       404 NOT_FOUND            410 OUT_OF_RANGE            429 RESOURCE_EXHAUSTED
//   401 UNAUTHENTICATED        405, 406, 415 UNIMPLEMENTED   413 INVALID_ARGUMENT     5xx UNAVAILABLE
//   403 PERMISSION_DENIED      409 ALREADY_EXISTS if its reason says so, else ABORTED
//   422 FAILED_PRECONDITION if a uid precondition failed, else INVALID_ARGUMENT
absl::Status StatusFromHttp(int http_status, std::string_view body);

// details.kind of the answer that made `status` ("serviceaccounts"), to tell what was not found; "" if unknown.
std::string DetailsKind(const absl::Status& status);

}  // namespace k8s

#endif  // K8S_API_STATUS_FROM_HTTP_H_
