#include "sidecar/atomic_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "k8s/api/read_file.h"

namespace sidecar {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class AtomicFilesTest : public ::testing::Test {
 protected:
  ~AtomicFilesTest() override { fs::remove_all(root_); }

  std::string Read(const std::string& name) {
    const auto text = k8s::ReadFile(directory_ + "/" + name);
    return text.ok() ? std::string(text->Reveal()) : std::string(text.status().message());
  }

  // The folders behind the links.
  std::vector<std::string> Generations() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      if (entry.path().filename().string().starts_with("..2")) names.push_back(entry.path().filename());
    }
    return names;
  }

  static std::string MakeRoot() {
    std::string path = fs::temp_directory_path() / "atomic_files_test.XXXXXX";
    return mkdtemp(path.data());
  }

  const std::string root_ = MakeRoot();
  const std::string directory_ = root_ + "/imports/a";
};

Files Of(std::initializer_list<std::pair<const char*, std::string>> contents) {
  Files files;
  for (const auto& [name, content] : contents) files.emplace(name, k8s::SecretString(content));
  return files;
}

mode_t ModeOf(const std::string& path) {
  struct stat status = {};
  stat(path.c_str(), &status);
  return status.st_mode & 07777;
}

TEST_F(AtomicFilesTest, ShowsFilesAsTheKubeletDoes) {
  ASSERT_TRUE(WriteFiles(directory_, Of({{"token", "one"}, {"ca.crt", "pem"}})).ok());
  EXPECT_EQ(Read("token"), "one");
  EXPECT_EQ(fs::read_symlink(directory_ + "/token"), "..data/token");
  EXPECT_THAT(Generations(), ElementsAre(fs::read_symlink(directory_ + "/..data").string()));
}

TEST_F(AtomicFilesTest, AnyUserCanReadWhateverTheUmask) {
  const mode_t before = umask(0077);
  ASSERT_TRUE(WriteFiles(directory_, Of({{"token", "one"}})).ok());
  ASSERT_TRUE(WriteFile(root_ + "/bin/plugin", "program", 0755).ok());
  umask(before);
  EXPECT_EQ(ModeOf(root_ + "/imports"), 0755u);
  EXPECT_EQ(ModeOf(directory_), 0755u);
  EXPECT_EQ(ModeOf(directory_ + "/..data"), 0755u);
  EXPECT_EQ(ModeOf(directory_ + "/token"), 0644u);
  EXPECT_EQ(ModeOf(root_ + "/bin/plugin"), 0755u);
}

TEST_F(AtomicFilesTest, TheSameFilesAreNotWrittenAgain) {
  ASSERT_TRUE(WriteFiles(directory_, Of({{"token", "one"}})).ok());
  const fs::path data = fs::read_symlink(directory_ + "/..data");
  ASSERT_TRUE(WriteFiles(directory_, Of({{"token", "one"}})).ok());
  EXPECT_EQ(fs::read_symlink(directory_ + "/..data"), data);
}

TEST_F(AtomicFilesTest, AFewGenerationsStayForReadersThatAreOnTheirWay) {
  for (const char* token : {"one", "two", "three", "four", "five", "six"})
    ASSERT_TRUE(WriteFiles(directory_, Of({{"token", token}})).ok());
  EXPECT_EQ(Read("token"), "six");
  EXPECT_THAT(Generations(), SizeIs(4));
}

TEST_F(AtomicFilesTest, ARevokedTokenIsNowhere) {
  ASSERT_TRUE(WriteFiles(directory_, Of({{"token", "canary"}, {"server", "s"}})).ok());
  ASSERT_TRUE(WriteFiles(directory_, Of({{"server", "s"}})).ok());
  EXPECT_THAT(Read("token"), HasSubstr("No such file"));
  EXPECT_EQ(Read("server"), "s");
  EXPECT_THAT(Generations(), SizeIs(1));
}

TEST_F(AtomicFilesTest, WhatAKilledProcessLeftIsRemoved) {
  for (const char* name : {"1", "2", "3", "4", "5"})
    fs::create_directories(directory_ + "/..2020_01_01_00_00_00." + name);
  fs::create_symlink("nowhere", directory_ + "/..data_tmp");
  ASSERT_TRUE(WriteFiles(directory_, Of({{"token", "two"}})).ok());
  EXPECT_EQ(Read("token"), "two");
  EXPECT_THAT(Generations(), SizeIs(4));
  EXPECT_FALSE(fs::is_symlink(directory_ + "/..data_tmp"));
}

TEST_F(AtomicFilesTest, AFullVolumeLeavesTheOldFiles) {
  ASSERT_TRUE(WriteFiles(directory_, Of({{"token", "one"}})).ok());
  // The limit on a file's size is the fault that needs no mount.
  signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 100, .rlim_max = RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &small);
  const absl::Status status = WriteFiles(directory_, Of({{"token", std::string(1000, 'x')}}));
  const rlimit unlimited{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &unlimited);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot write"));
  EXPECT_EQ(Read("token"), "one");
  EXPECT_THAT(Generations(), SizeIs(1));
}

TEST_F(AtomicFilesTest, ReplacesOneFileAndLeavesAnEqualOne) {
  const std::string path = root_ + "/kubeconfig";
  ASSERT_TRUE(WriteFile(path, "one", 0644).ok());
  const fs::file_time_type written = fs::last_write_time(path);
  ASSERT_TRUE(WriteFile(path, "one", 0644).ok());
  EXPECT_EQ(fs::last_write_time(path), written);
  ASSERT_TRUE(WriteFile(path, "two", 0644).ok());
  EXPECT_EQ(k8s::ReadFile(path)->Reveal(), "two");
}

TEST_F(AtomicFilesTest, CopiesAProgramOverAnOlderOne) {
  ASSERT_TRUE(WriteFile(root_ + "/from", std::string(3 << 20, 'x'), 0644).ok());
  ASSERT_TRUE(WriteFile(root_ + "/bin/to", "old", 0644).ok());
  ASSERT_TRUE(CopyFile(root_ + "/from", root_ + "/bin/to", 0755).ok());
  EXPECT_EQ(k8s::ReadFile(root_ + "/bin/to")->size(), 3u << 20);
  EXPECT_EQ(ModeOf(root_ + "/bin/to"), 0755u);
  EXPECT_TRUE(absl::IsNotFound(CopyFile(root_ + "/none", root_ + "/bin/to", 0755)));
}

TEST_F(AtomicFilesTest, TwoReadersNeverSeeAPartOfAFile) {
  constexpr int kReads = 500'000;
  const std::string tokens[] = {std::string(900, 'a'), std::string(1100, 'b')};
  ASSERT_TRUE(WriteFiles(directory_, Of({{"token", tokens[0]}})).ok());
  std::atomic<int> torn = 0, missing = 0, reading = 2;
  const auto reader = [&] {
    const std::string path = directory_ + "/token";
    for (int i = 0; i < kReads; ++i) {
      const auto text = k8s::ReadFile(path);
      if (!text.ok()) {
        ++missing;
      } else if (text->Reveal() != tokens[0] && text->Reveal() != tokens[1]) {
        ++torn;
      }
    }
    --reading;
  };
  std::thread first(reader), second(reader);
  int swaps = 0;
  while (reading > 0) {
    ASSERT_TRUE(WriteFiles(directory_, Of({{"token", tokens[++swaps % 2]}})).ok());
    usleep(50'000);  // many times what renewals do, yet a reader may wait as long for a busy machine to schedule it
  }
  first.join();
  second.join();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(missing, 0);
  EXPECT_GT(swaps, 20);
}

}  // namespace
}  // namespace sidecar
