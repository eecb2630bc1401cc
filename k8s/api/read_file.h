#ifndef K8S_API_READ_FILE_H_
#define K8S_API_READ_FILE_H_

#include <absl/status/statusor.h>
#include <fcntl.h>

#include <cstdint>
#include <string>

#include "k8s/core/secret_string.h"

namespace k8s {

// The content of a file of at most 4 MiB, which is more than a Secret holds. `path` starts at the open folder `folder`,
// or at the working directory. Blocks, so that it should be no pipe.
//
// Errors name the path and the cause. NOT_FOUND: there is none. PERMISSION_DENIED: it is not for this user.
// UNAVAILABLE: it is too large, or any other cause.
absl::StatusOr<SecretString> ReadFile(const std::string& path, int folder = AT_FDCWD);

// Another value after the file was written or replaced, also through a link on its way, as the kubelet replaces its
// volumes' files. Equal to the default for a file that is not there.
struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t modified_ns = 0;
  int64_t size = 0;

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};
FileStamp StampOf(const std::string& path);

}  // namespace k8s

#endif  // K8S_API_READ_FILE_H_
