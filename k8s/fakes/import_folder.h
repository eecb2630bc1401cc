#ifndef K8S_FAKES_IMPORT_FOLDER_H_
#define K8S_FAKES_IMPORT_FOLDER_H_

#include <map>
#include <string>

namespace k8s {

// A new, empty folder below the test's own, deleted with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void WriteFile(const std::string& path, const std::string& content);

// Makes the folder `path` as the kubelet makes a Secret volume, or replaces its files in the kubelet's own steps
// (pkg/volume/util/atomic_writer.go): a new generation beside the old, the link ..data swapped, the old one deleted.
void WriteAtomically(const std::string& path, const std::map<std::string, std::string>& files);

// The files of an import, with the token `token`.
std::map<std::string, std::string> ImportFiles(const std::string& token,
                                               const std::string& server = "https://east.example:6443");

}  // namespace k8s

#endif  // K8S_FAKES_IMPORT_FOLDER_H_
