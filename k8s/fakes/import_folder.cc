#include "k8s/fakes/import_folder.h"

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

#include "k8s/core/names.h"

namespace k8s {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  const char* base = getenv("TEST_TMPDIR");
  path_ = std::string(base == nullptr ? "/tmp" : base) + "/folder-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) abort();
}

TemporaryFolder::~TemporaryFolder() {
  fs::remove_all(path_);
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path) << content;
}

void WriteAtomically(const std::string& path, const std::map<std::string, std::string>& files) {
  static std::atomic<int> generation = 0;
  const fs::path folder(path);
  const std::string name = "..generation-" + std::to_string(++generation);
  fs::create_directories(folder / name);
  for (const auto& [key, content] : files) WriteFile(folder / name / key, content);
  const fs::path link = folder / "..data";
  const fs::path old = fs::is_symlink(link) ? fs::read_symlink(link) : fs::path();
  fs::create_symlink(name, folder / "..data_tmp");
  fs::rename(folder / "..data_tmp", link);
  for (const auto& [key, content] : files) {
    if (!fs::is_symlink(folder / key)) fs::create_symlink("..data/" + key, folder / key);
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string key = entry.path().filename();
    if (entry.is_symlink() && key != "..data" && !files.contains(key)) fs::remove(entry.path());
  }
  if (!old.empty()) fs::remove_all(folder / old);
}

std::map<std::string, std::string> ImportFiles(const std::string& token, const std::string& server) {
  return {{kServerKey, server}, {kCaKey, "ca of " + token}, {kNamespaceKey, "remote"}, {kTokenKey, token}};
}

}  // namespace k8s
