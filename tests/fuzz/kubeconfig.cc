#include "k8s/core/kubeconfig.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

// A kubeconfig comes from users and, in Secrets of sources, from other clusters.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  k8s::ParseKubeconfig({reinterpret_cast<const char*>(data), size}, "/").IgnoreError();
  return 0;
}
