#include "webhook/admission_review.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "k8s/core/json.h"
#include "k8s/core/object.h"
#include "webhook/import.h"
#include "webhook/inject_pod.h"
#include "webhook/pod_request.h"

// Anybody who reaches its port may send the webhook a review; pods are the users'.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto review = webhook::ParseAdmissionReview({reinterpret_cast<const char*>(data), size});
  if (!review.ok()) return 0;
  const auto request = webhook::ParsePodRequest(k8s::ParseObjectMeta(review->object).annotations);
  if (!request.ok()) return 0;
  std::vector<webhook::Import> imports;
  for (const std::string& name : request->imports) {
    imports.push_back({.name = name, .uid = "uid", .server = "https://10.0.0.1:6443"});
  }
  webhook::InjectPod(review->object, *request, imports, "sidecar:1").IgnoreError();
  return 0;
}
