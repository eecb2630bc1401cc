#include "sidecar/unix_socket.h"

#include <absl/strings/str_cat.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <system_error>

namespace sidecar {
namespace {

constexpr int kBacklog = 128;
constexpr mode_t kSocketMode = 0666;

absl::Status Failed(const std::string& action, const std::string& path, int error) {
  const std::string text =
      absl::StrCat("cannot ", action, " ", path, ": ", std::error_code(error, std::generic_category()).message());
  if (error == EAGAIN || error == EWOULDBLOCK) return absl::DeadlineExceededError(text);
  return absl::UnavailableError(text);
}

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX};
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is too long for a socket: at most ", sizeof(address.sun_path) - 1, " bytes"));
  }
  path.copy(address.sun_path, path.size());
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

absl::StatusOr<int> ListenOn(const std::string& path) {
  const std::string spare = absl::StrCat(path, ".new");
  const absl::StatusOr<sockaddr_un> address = AddressOf(spare);
  if (!address.ok()) return address.status();
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return Failed("open a socket for", path, errno);
  unlink(spare.c_str());
  if (bind(listener, Generic(*address), sizeof(*address)) == 0 && chmod(spare.c_str(), kSocketMode) == 0 &&
      listen(listener, kBacklog) == 0 && rename(spare.c_str(), path.c_str()) == 0) {
    return listener;
  }
  const int error = errno;
  close(listener);
  return Failed("listen on", path, error);
}

absl::StatusOr<int> AcceptFrom(int listener, Peer& peer) {
  const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection < 0) return absl::UnavailableError(std::error_code(errno, std::generic_category()).message());
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
    peer = {.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
  }
  return connection;
}

absl::Status ProbeServer(const std::string& path, absl::Duration timeout) {
  const absl::StatusOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.status();
  const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return Failed("open a socket for", path, errno);
  const timeval limit = absl::ToTimeval(timeout);
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  // RFC 9113, 3.4: the preface, then a SETTINGS frame, here an empty one; the server's first frame is SETTINGS too.
  constexpr char kFirstBytes[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
  constexpr size_t kTypeOffset = 3;
  constexpr char kSettingsType = 4;
  char frame[9] = {};
  absl::Status status;
  if (connect(connection, Generic(*address), sizeof(*address)) != 0) {
    status = Failed("connect to", path, errno);
  } else if (send(connection, kFirstBytes, sizeof(kFirstBytes), MSG_NOSIGNAL) < 0) {
    status = Failed("write to", path, errno);
  } else if (const ssize_t got = recv(connection, frame, sizeof(frame), MSG_WAITALL); got < 0 && errno != ECONNRESET) {
    status = Failed("read from", path, errno);
  } else if (got <= 0) {
    status = absl::ResourceExhaustedError(absl::StrCat("the server at ", path, " takes no connection more"));
  } else if (got < static_cast<ssize_t>(sizeof(frame)) || frame[kTypeOffset] != kSettingsType) {
    status = absl::UnavailableError(absl::StrCat("no HTTP/2 server answers at ", path));
  }
  close(connection);
  return status;
}

}  // namespace sidecar
