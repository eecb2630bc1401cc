#ifndef SIDECAR_ATOMIC_FILES_H_
#define SIDECAR_ATOMIC_FILES_H_

#include <absl/status/status.h>
#include <sys/types.h>

#include <map>
#include <string>
#include <string_view>

#include "k8s/core/secret_string.h"

namespace sidecar {

// File name -> content, as a Secret's data.
using Files = std::map<std::string, k8s::SecretString>;

// Makes `directory` show exactly `files`, each readable by all, in one step: as the kubelet's Secret volumes
// (pkg/volume/util/atomic_writer.go), `token` links to `..data/token`, `..data` to a folder that is never changed, and
// an update renames another link over `..data`. So a reader sees a file old or new and never in between.
//
// Unlike the kubelet's, the last few folders stay: a reader that has resolved `..data` still finds its file. They go at
// once when a file goes, because that is a revocation.
//
// Nothing is written when the files are there already. After an error the directory shows what it showed. What a killed
// process left is removed. One writer per directory.
//
// Errors: RESOURCE_EXHAUSTED, the volume is full. FAILED_PRECONDITION, it is read-only. INTERNAL, anything else.
absl::Status WriteFiles(const std::string& directory, const Files& files);

// Replaces one file in one step; nothing is written when it has that content already. Errors as WriteFiles.
absl::Status WriteFile(const std::string& path, std::string_view content, mode_t mode);

// Replaces `to` by a copy of `from` in one step, without holding it in memory. Errors as WriteFiles; NOT_FOUND, `from`.
absl::Status CopyFile(const std::string& from, const std::string& to, mode_t mode);

// Makes `directory` with its parents, each 0755 whatever the umask. Errors as WriteFiles.
absl::Status MakeDirectories(const std::string& directory);

}  // namespace sidecar

#endif  // SIDECAR_ATOMIC_FILES_H_
