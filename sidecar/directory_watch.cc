#include "sidecar/directory_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <utility>

namespace sidecar {

DirectoryWatch::DirectoryWatch(std::vector<std::string> directories)
    : inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), missing_(std::move(directories)) {
  WatchMissing();
}

DirectoryWatch::~DirectoryWatch() {
  if (inotify_ >= 0) close(inotify_);
}

void DirectoryWatch::Drain() {
  char events[4096];
  while (read(inotify_, events, sizeof(events)) > 0) {
  }
  WatchMissing();
}

void DirectoryWatch::WatchMissing() {
  // The kubelet ends each update by renaming a link over ..data.
  std::erase_if(missing_, [this](const std::string& directory) {
    return inotify_add_watch(inotify_, directory.c_str(), IN_MOVED_TO | IN_CREATE) >= 0;
  });
}

}  // namespace sidecar
