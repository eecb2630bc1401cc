#include "k8s/api/read_file.h"

#include <absl/strings/str_cat.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

namespace k8s {
namespace {

constexpr size_t kMaxFileBytes = 4 << 20;

absl::Status Failed(const std::string& path, int error) {
  const std::string text =
      absl::StrCat("cannot read ", path, ": ", std::error_code(error, std::generic_category()).message());
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(text);
  if (error == EACCES || error == EPERM) {
    return absl::PermissionDeniedError(absl::StrCat(text, " (this process runs as user ", geteuid(), ")"));
  }
  return absl::UnavailableError(text);
}

}  // namespace

absl::StatusOr<SecretString> ReadFile(const std::string& path, int folder) {
  const int file = openat(folder, path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Failed(path, errno);
  // A file stream would leave the text in buffers that nobody wipes.
  std::string text(4096, '\0');
  size_t size = 0;
  int error = 0;
  while (error == 0) {
    const ssize_t got = read(file, text.data() + size, text.size() - size);
    if (got == 0) break;
    if (got < 0) {
      if (errno != EINTR) error = errno;
      continue;
    }
    size += static_cast<size_t>(got);
    if (size > kMaxFileBytes) error = EFBIG;
    if (size == text.size()) {
      std::string larger(text.size() * 4, '\0');
      text.copy(larger.data(), size);
      OPENSSL_cleanse(text.data(), text.size());
      text.swap(larger);
    }
  }
  close(file);
  SecretString content(std::string_view(text).substr(0, error == 0 ? size : 0));
  OPENSSL_cleanse(text.data(), text.size());
  if (error != 0) return Failed(path, error);
  return content;
}

FileStamp StampOf(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return {};
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .modified_ns = status.st_mtim.tv_sec * int64_t{1'000'000'000} + status.st_mtim.tv_nsec,
          .size = status.st_size};
}

}  // namespace k8s
