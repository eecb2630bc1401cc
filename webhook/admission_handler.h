#ifndef WEBHOOK_ADMISSION_HANDLER_H_
#define WEBHOOK_ADMISSION_HANDLER_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/api/informer_store.h"
#include "k8s/core/object.h"
#include "webhook/admission_review.h"
#include "webhook/import.h"
#include "webhook/metrics.h"
#include "webhook/pod_request.h"

namespace webhook {

// Answers AdmissionReviews: reads what the pod asks for, looks its imports up, and has InjectPod decide. Writes nothing
// anywhere, so a dry run is like any other. Thread-safe; borrows everything in Dependencies.
class AdmissionHandler {
 public:
  struct Dependencies {
    const k8s::Client& target;
    const k8s::InformerStore<Import>& imports;
    const k8s::InformerStore<k8s::ObjectMeta>& namespaces;
    Metrics& metrics;
    const k8s::Clock& clock;
    std::string sidecar_image;
  };
  explicit AdmissionHandler(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // The answering AdmissionReview. INVALID_ARGUMENT: `body` is none. Blocks for a live GET or a few, at most 3 s.
  absl::StatusOr<std::string> Review(std::string_view body) const;

 private:
  AdmissionResponse Decide(const AdmissionRequest& request) const;
  // `end`: of all live GETs, by the monotonic clock.
  absl::StatusOr<bool> WantsSidecar(const PodRequest& request, const std::string& namespace_name,
                                    absl::Duration end) const;
  absl::StatusOr<std::vector<Import>> FindImports(const PodRequest& request, const std::string& namespace_name,
                                                  absl::Duration end) const;

  const Dependencies deps_;
};

}  // namespace webhook

#endif  // WEBHOOK_ADMISSION_HANDLER_H_
