#include "k8s/api/read_file.h"

#include <absl/strings/str_cat.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <system_error>

namespace k8s {
namespace {

constexpr size_t kMaxFileBytes = 4 << 20;

absl::Status Failed(const std::string& path, int error) {
  const std::string text =
      absl::StrCat("cannot read ", path, ": ", std::error_code(error, std::generic_category()).message());
  return error == ENOENT || error == ENOTDIR ? absl::NotFoundError(text) : absl::InternalError(text);
}

}  // namespace

absl::StatusOr<SecretString> ReadFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
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

}  // namespace k8s
