#ifndef K8S_API_MOUNTED_IMPORT_H_
#define K8S_API_MOUNTED_IMPORT_H_

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <vector>

#include "k8s/api/read_file.h"
#include "k8s/core/kubeconfig.h"
#include "k8s/core/secret_string.h"

namespace k8s {

// The imports that have a folder below `directory` (names.h: kImportsDirectory), sorted. None if `directory` is not
// there. Folders whose name cannot be an import's are left out. PERMISSION_DENIED, UNAVAILABLE: it cannot be listed.
absl::StatusOr<std::vector<std::string>> MountedImportNames(const std::string& directory);

// The files `keys` of the import `name` below `directory`, all of one generation: the kubelet and the sidecar replace
// them together, by swapping the link ..data (pkg/volume/util/atomic_writer.go). A folder without ..data, mounted or
// written by somebody else, is read as it is. A key that has no file is left out.
//
// Errors: INVALID_ARGUMENT, `name` is no import's name. NOT_FOUND, it has no folder. PERMISSION_DENIED names the file.
// UNAVAILABLE, the files changed faster than they could be read, or a disk error.
absl::StatusOr<std::map<std::string, SecretString>> ReadMountedImport(const std::string& directory,
                                                                      const std::string& name,
                                                                      const std::vector<std::string>& keys);

// Changes whenever a file of the import does; costs four stat calls. To be taken before reading.
std::vector<FileStamp> MountedImportStamp(const std::string& directory, const std::string& name);

// How to call the API server that the import is for: server, CA, namespace and token, read at once. The token is in
// `token`, as it is now.
//
// Errors, besides those of ReadMountedImport: FAILED_PRECONDITION, a file is missing or holds nonsense.
// UNAUTHENTICATED, it has no token: not issued yet, or withdrawn.
absl::StatusOr<ClusterAccess> MountedImportAccess(const std::string& directory, const std::string& name);

}  // namespace k8s

#endif  // K8S_API_MOUNTED_IMPORT_H_
