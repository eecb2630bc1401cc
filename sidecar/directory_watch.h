#ifndef SIDECAR_DIRECTORY_WATCH_H_
#define SIDECAR_DIRECTORY_WATCH_H_

#include <string>
#include <vector>

namespace sidecar {

// Notices that the kubelet has changed one of `directories`, each as soon as it exists; one whose parent is not there
// either is noticed with the next change of another. Not thread-safe.
class DirectoryWatch {
 public:
  explicit DirectoryWatch(std::vector<std::string> directories);
  DirectoryWatch(const DirectoryWatch&) = delete;
  DirectoryWatch& operator=(const DirectoryWatch&) = delete;
  ~DirectoryWatch();

  // Readable when something changed; -1 if the kernel has no inotify left for us.
  int file() const { return inotify_; }

  // Reads what made file() readable, and looks for directories that were missing.
  void Drain();

 private:
  void WatchMissing();

  const int inotify_;
  std::vector<std::string> missing_;
};

}  // namespace sidecar

#endif  // SIDECAR_DIRECTORY_WATCH_H_
