#ifndef K8S_API_READ_FILE_H_
#define K8S_API_READ_FILE_H_

#include <absl/status/statusor.h>

#include <string>

#include "k8s/core/secret_string.h"

namespace k8s {

// The content of a file of at most 4 MiB, which is more than a Secret holds. Blocks, so that `path` should be no pipe.
// NOT_FOUND: there is none. INTERNAL: it is too large or cannot be read; the text says why.
absl::StatusOr<SecretString> ReadFile(const std::string& path);

}  // namespace k8s

#endif  // K8S_API_READ_FILE_H_
