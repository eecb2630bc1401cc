#include "k8s/core/bound_token.h"

#include <absl/strings/escaping.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "k8s/core/secret_string.h"

// Who may edit a Secret writes the token that is read from it, and a source writes those that it issues.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  k8s::ParseBoundToken(k8s::SecretString(text)).IgnoreError();
  k8s::ParseBoundToken(k8s::SecretString("e30." + absl::WebSafeBase64Escape(text) + ".x")).IgnoreError();
  return 0;
}
