#include "sidecar/directory_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <filesystem>
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
  std::erase_if(missing_, [this](const std::string& directory) {
    // The kubelet ends each update by renaming a link over ..data.
    if (inotify_add_watch(inotify_, directory.c_str(), IN_MOVED_TO | IN_CREATE) >= 0) return true;
    const std::string parent = std::filesystem::path(directory).parent_path();
    inotify_add_watch(inotify_, parent.c_str(), IN_MOVED_TO | IN_CREATE);  // which tells when it comes
    return false;
  });
}

}  // namespace sidecar
