#include "k8s/api/mounted_import.h"

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "k8s/core/names.h"
#include "k8s/core/service_account_import.h"

namespace k8s {
namespace {

constexpr char kData[] = "..data";
// A generation lives for a minute at least; only a test swaps it twice during one read.
constexpr int kMaxAttempts = 10;

const std::vector<std::string>& AccessKeys() {
  static const auto& keys = *new std::vector<std::string>{kServerKey, kCaKey, kNamespaceKey, kTokenKey};
  return keys;
}

class Folder {
 public:
  explicit Folder(int fd) : fd_(fd) {}
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

  static int Open(const std::string& path, int parent = AT_FDCWD) {
    return openat(parent, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }

 private:
  const int fd_;
};

// Whether `name` below `parent` still leads to the folder that was opened.
bool StillLeadsTo(int parent, const char* name, int folder) {
  struct stat now, opened;
  return fstatat(parent, name, &now, 0) == 0 && fstat(folder, &opened) == 0 && now.st_dev == opened.st_dev &&
         now.st_ino == opened.st_ino;
}

std::string Path(const std::string& directory, const std::string& name) {
  return absl::StrCat(directory, "/", name);
}

std::string_view Trimmed(const SecretString& text) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace({text.Reveal().data(), text.size()});
  return {trimmed.data(), trimmed.size()};
}

// One attempt; nothing if the generation went away meanwhile.
absl::StatusOr<std::optional<std::map<std::string, SecretString>>> ReadGeneration(
    int folder, const std::string& path, const std::vector<std::string>& keys) {
  const Folder data(Folder::Open(kData, folder));
  const int from = data.fd() >= 0 ? data.fd() : folder;
  std::map<std::string, SecretString> files;
  for (const std::string& key : keys) {
    absl::StatusOr<SecretString> content = ReadFile(key, from);
    if (content.ok()) {
      files.emplace(key, *std::move(content));
    } else if (!absl::IsNotFound(content.status())) {
      return absl::Status(content.status().code(),
                          absl::StrCat("import folder ", path, ": ", std::string(content.status().message())));
    }
  }
  // Files of the old generation are deleted one by one once the link leads on.
  if (data.fd() >= 0 && !StillLeadsTo(folder, kData, data.fd())) return std::nullopt;
  return files;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> MountedImportNames(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unreadable;  // such an entry is left to whoever asks for it by name
    const std::string name = entry->path().filename();
    if (IsDnsSubdomain(name) && entry->is_directory(unreadable)) names.push_back(name);
  }
  if (error == std::errc::no_such_file_or_directory) return names;
  if (error) {
    const std::string text = absl::StrCat("cannot list ", directory, ": ", error.message());
    return error == std::errc::permission_denied ? absl::PermissionDeniedError(text) : absl::UnavailableError(text);
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::map<std::string, SecretString>> ReadMountedImport(const std::string& directory,
                                                                      const std::string& name,
                                                                      const std::vector<std::string>& keys) {
  // It becomes part of a path.
  if (!IsDnsSubdomain(name)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is no import's name: it is no DNS-1123 subdomain"));
  }
  const std::string path = Path(directory, name);
  const Folder folder(Folder::Open(path));
  if (folder.fd() < 0) {
    const std::string text = absl::StrCat("cannot open ", path, ": ", strerror(errno));
    if (errno == ENOENT || errno == ENOTDIR) return absl::NotFoundError(text);
    return errno == EACCES ? absl::PermissionDeniedError(text) : absl::UnavailableError(text);
  }
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    auto files = ReadGeneration(folder.fd(), path, keys);
    if (!files.ok()) return files.status();
    if (*files) return **std::move(files);
  }
  return absl::UnavailableError(
      absl::StrCat("import folder ", path, ": its files changed while they were read; again"));
}

std::vector<FileStamp> MountedImportStamp(const std::string& directory, const std::string& name) {
  std::vector<FileStamp> stamp;
  for (const std::string& key : AccessKeys()) stamp.push_back(StampOf(Path(Path(directory, name), key)));
  return stamp;
}

absl::StatusOr<ClusterAccess> MountedImportAccess(const std::string& directory, const std::string& name) {
  auto files = ReadMountedImport(directory, name, AccessKeys());
  if (!files.ok()) return files.status();
  ClusterAccess access;
  access.server = Trimmed((*files)[kServerKey]);
  access.ca_data = (*files)[kCaKey].Reveal();
  access.namespace_name = Trimmed((*files)[kNamespaceKey]);
  access.cluster_name = name;
  access.token = SecretString(Trimmed((*files)[kTokenKey]));
  const std::string path = Path(directory, name);
  if (!absl::StartsWith(access.server, "https://")) {
    return absl::FailedPreconditionError(
        absl::StrCat(Path(path, kServerKey), access.server.empty() ? " is missing or empty" : " holds no https URL",
                     "; is this folder the Secret of an import? kubectl describe sai ", name, " tells its state"));
  }
  if (access.namespace_name.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(Path(path, kNamespaceKey), " is missing or empty"));
  }
  if (access.token.empty()) {
    return absl::UnauthenticatedError(
        absl::StrCat(Path(path, kTokenKey), " is missing or empty: the token is not issued yet, or was withdrawn; ",
                     "kubectl describe sai ", name, " tells why"));
  }
  return access;
}

}  // namespace k8s
