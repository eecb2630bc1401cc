#include "sidecar/atomic_files.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <system_error>

#include "k8s/api/read_file.h"

namespace sidecar {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kDirectoryMode = 0755;
constexpr mode_t kFileMode = 0644;
// Readers are between resolving ..data and opening the file for microseconds, or for as long as they are not scheduled.
constexpr size_t kSparedFolders = 3;
constexpr size_t kCopyBytes = 1 << 20;
constexpr char kData[] = "..data";
constexpr char kNewData[] = "..data_tmp";

absl::Status Failed(std::string_view action, const std::string& path, int error) {
  const std::string text = absl::StrCat("cannot ", std::string(action), " ", path, ": ",
                                        std::error_code(error, std::generic_category()).message());
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(text);
  if (error == EROFS || error == EACCES || error == EPERM) return absl::FailedPreconditionError(text);
  return absl::InternalError(text);
}

// Closes the file on every way out. `mode` holds whatever the umask.
absl::Status Create(const std::string& path, std::string_view content, mode_t mode) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (file < 0) return Failed("create", path, errno);
  int error = fchmod(file, mode) == 0 ? 0 : errno;
  while (error == 0 && !content.empty()) {
    const ssize_t written = write(file, content.data(), content.size());
    if (written > 0) {
      content.remove_prefix(static_cast<size_t>(written));
    } else if (written == 0 || errno != EINTR) {
      error = written == 0 ? ENOSPC : errno;
    }
  }
  if (close(file) != 0 && error == 0) error = errno;
  if (error == 0) return absl::OkStatus();
  unlink(path.c_str());
  return Failed("write", path, error);
}

// Points the link `path` to `target`, replacing what was there, by way of `spare` beside it.
absl::Status PointLink(const std::string& path, const std::string& target, const std::string& spare) {
  unlink(spare.c_str());
  if (symlink(target.c_str(), spare.c_str()) != 0) return Failed("create", spare, errno);
  if (rename(spare.c_str(), path.c_str()) != 0) return Failed("replace", path, errno);
  return absl::OkStatus();
}

std::string LinkTarget(const std::string& path) {
  std::error_code error;
  return fs::read_symlink(path, error).string();
}

// What users see: every name that does not start with "..".
std::set<std::string> VisibleNames(const std::string& directory) {
  std::set<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    std::string name = entry.path().filename();
    if (!name.starts_with("..")) names.insert(std::move(name));
  }
  return names;
}

// Removes all folders but `current` and the `spared` newest others.
void RemoveOldFolders(const std::string& directory, const std::string& current, size_t spared) {
  std::multimap<fs::file_time_type, fs::path, std::greater<>> old;  // the newest first
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("..") || name == kData || name == current) continue;
    // Links that a killed process left have no time worth keeping.
    old.emplace(entry.is_symlink(error) ? fs::file_time_type::min() : entry.last_write_time(error), entry.path());
  }
  for (const auto& [time, path] : old) {
    if (spared == 0 || time == fs::file_time_type::min()) {
      fs::remove_all(path, error);
    } else {
      --spared;
    }
  }
}

bool Holds(const std::string& folder, const Files& files) {
  std::set<std::string> names = VisibleNames(folder);
  for (const auto& [name, content] : files) {
    const absl::StatusOr<k8s::SecretString> present = k8s::ReadFile(absl::StrCat(folder, "/", name));
    if (!present.ok() || !(*present == content)) return false;
    names.erase(name);
  }
  return names.empty();
}

// Fills a new folder and returns its name, "..2026_11_24_20_01_16.Ab12Cd" like the kubelet's.
absl::StatusOr<std::string> CreateFolder(const std::string& directory, const Files& files) {
  std::string path = absl::StrCat(directory, "/..",
                                  absl::FormatTime("%Y_%m_%d_%H_%M_%S", absl::Now(), absl::UTCTimeZone()), ".XXXXXX");
  if (mkdtemp(path.data()) == nullptr) return Failed("create a folder in", directory, errno);
  absl::Status status;
  if (chmod(path.c_str(), kDirectoryMode) != 0) status = Failed("open to all", path, errno);
  for (const auto& [name, content] : files) {
    if (status.ok()) status = Create(absl::StrCat(path, "/", name), content.Reveal(), kFileMode);
  }
  if (status.ok()) return path.substr(directory.size() + 1);
  std::error_code ignored;
  fs::remove_all(path, ignored);
  return status;
}

}  // namespace

absl::Status WriteFiles(const std::string& directory, const Files& files) {
  if (absl::Status status = MakeDirectories(directory); !status.ok()) return status;
  const std::string data = absl::StrCat(directory, "/", kData);
  const std::string spare = absl::StrCat(directory, "/", kNewData);
  std::string current = LinkTarget(data);
  if (current.empty() || !Holds(data, files)) {
    absl::StatusOr<std::string> folder = CreateFolder(directory, files);
    if (!folder.ok()) return folder.status();
    if (absl::Status status = PointLink(data, *folder, spare); !status.ok()) return status;
    current = *std::move(folder);
  }
  std::set<std::string> names = VisibleNames(directory);
  for (const auto& [name, content] : files) {
    const std::string path = absl::StrCat(directory, "/", name);
    const std::string target = absl::StrCat(kData, "/", name);
    if (names.erase(name) > 0 && LinkTarget(path) == target) continue;
    if (absl::Status status = PointLink(path, target, spare); !status.ok()) return status;
  }
  for (const std::string& name : names) unlink(absl::StrCat(directory, "/", name).c_str());
  RemoveOldFolders(directory, current, names.empty() ? kSparedFolders : 0);
  return absl::OkStatus();
}

absl::Status WriteFile(const std::string& path, std::string_view content, mode_t mode) {
  const absl::StatusOr<k8s::SecretString> present = k8s::ReadFile(path);
  if (present.ok() && present->Reveal() == content) return absl::OkStatus();
  if (absl::Status status = MakeDirectories(fs::path(path).parent_path()); !status.ok()) return status;
  const std::string spare = absl::StrCat(path, ".tmp");
  unlink(spare.c_str());
  if (absl::Status status = Create(spare, content, mode); !status.ok()) return status;
  if (rename(spare.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return Failed("replace", path, errno);
}

absl::Status CopyFile(const std::string& from, const std::string& to, mode_t mode) {
  if (absl::Status status = MakeDirectories(fs::path(to).parent_path()); !status.ok()) return status;
  const int source = open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (source < 0) return absl::NotFoundError(Failed("open", from, errno).message());
  const std::string spare = absl::StrCat(to, ".tmp");
  unlink(spare.c_str());
  absl::Status status = Create(spare, "", mode);
  const int copy = status.ok() ? open(spare.c_str(), O_WRONLY | O_CLOEXEC) : -1;
  ssize_t sent = status.ok() ? 1 : 0;
  while (sent > 0) sent = sendfile(copy, source, nullptr, kCopyBytes);
  if (sent < 0 || (status.ok() && rename(spare.c_str(), to.c_str()) != 0)) status = Failed("write", to, errno);
  if (copy >= 0) close(copy);
  close(source);
  return status;
}

absl::Status MakeDirectories(const std::string& directory) {
  const fs::path path(directory);
  std::error_code error;
  if (fs::is_directory(path, error)) return absl::OkStatus();
  if (path.has_parent_path() && path.parent_path() != path) {
    if (absl::Status status = MakeDirectories(path.parent_path()); !status.ok()) return status;
  }
  if (mkdir(path.c_str(), kDirectoryMode) != 0) return Failed("create", directory, errno);
  if (chmod(path.c_str(), kDirectoryMode) != 0) return Failed("open to all", directory, errno);
  return absl::OkStatus();
}

}  // namespace sidecar
