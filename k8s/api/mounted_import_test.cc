#include "k8s/api/mounted_import.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "k8s/fakes/import_folder.h"

namespace k8s {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class MountedImportTest : public ::testing::Test {
 protected:
  void Mount(const std::string& name, const std::map<std::string, std::string>& files) {
    WriteAtomically(folder_ / name, files);
  }

  const TemporaryFolder folder_;
};

TEST_F(MountedImportTest, ReadsServerCaNamespaceAndToken) {
  Mount("east", ImportFiles("token-1\n"));
  const absl::StatusOr<ClusterAccess> access = MountedImportAccess(folder_.path(), "east");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://east.example:6443");
  EXPECT_EQ(access->ca_data, "ca of token-1\n");
  EXPECT_EQ(access->namespace_name, "remote");
  EXPECT_EQ(access->token.Reveal(), "token-1");
}

TEST_F(MountedImportTest, ReadsAFolderThatIsNoKubeletVolume) {
  mkdir((folder_ / "east").c_str(), 0755);
  for (const auto& [key, content] : ImportFiles("token-1")) WriteFile(folder_ / "east/" + key, content);
  EXPECT_TRUE(MountedImportAccess(folder_.path(), "east").ok());
}

TEST_F(MountedImportTest, NeverMixesTwoGenerations) {
  Mount("east", ImportFiles("token-0"));
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 1; !stop; ++i) Mount("east", ImportFiles("token-" + std::to_string(i)));
  });
  int reads = 0;
  while (reads < 2000) {
    const absl::StatusOr<ClusterAccess> access = MountedImportAccess(folder_.path(), "east");
    if (absl::IsUnavailable(access.status())) continue;  // said to try again
    ++reads;
    EXPECT_TRUE(access.ok()) << access.status();
    if (!access.ok() || access->ca_data != "ca of " + std::string(access->token.Reveal())) {
      ADD_FAILURE() << "a CA of another generation than the token";
      break;
    }
  }
  stop = true;
  writer.join();
}

TEST_F(MountedImportTest, StampChangesWithTheFiles) {
  Mount("east", ImportFiles("token-1"));
  const auto before = MountedImportStamp(folder_.path(), "east");
  EXPECT_EQ(MountedImportStamp(folder_.path(), "east"), before);
  Mount("east", ImportFiles("token-2"));
  EXPECT_NE(MountedImportStamp(folder_.path(), "east"), before);
}

TEST_F(MountedImportTest, ListsFoldersThatCanBeImports) {
  Mount("b", ImportFiles("x"));
  Mount("a.dotted", ImportFiles("x"));
  mkdir((folder_ / "Not-A-Name").c_str(), 0755);
  mkdir((folder_ / "..data").c_str(), 0755);
  WriteFile(folder_ / "file", "");
  EXPECT_THAT(*MountedImportNames(folder_.path()), ElementsAre("a.dotted", "b"));
}

TEST_F(MountedImportTest, NoDirectoryIsNoImports) {
  EXPECT_THAT(*MountedImportNames(folder_ / "absent"), IsEmpty());
}

TEST_F(MountedImportTest, WhatIsNoDirectoryIsNotTakenForAnEmptyOne) {
  WriteFile(folder_ / "file", "");
  EXPECT_FALSE(MountedImportNames(folder_ / "file").ok());
}

TEST_F(MountedImportTest, SaysWhatIsWrong) {
  const struct {
    const char* what;
    std::map<std::string, std::string> files;
    absl::StatusCode code;
    const char* text;
  } cases[] = {
      {"no token", {{"server", "https://e"}, {"namespace", "n"}}, absl::StatusCode::kUnauthenticated, "withdrawn"},
      {"an empty token",
       {{"server", "https://e"}, {"namespace", "n"}, {"token", "\n"}},
       absl::StatusCode::kUnauthenticated,
       "/token is missing or empty"},
      {"no server", {{"token", "canary"}}, absl::StatusCode::kFailedPrecondition, "/server is missing or empty"},
      {"a server that is no URL",
       {{"server", "canary"}, {"token", "canary"}},
       absl::StatusCode::kFailedPrecondition,
       "/server holds no https URL"},
      {"no namespace",
       {{"server", "https://e"}, {"token", "canary"}},
       absl::StatusCode::kFailedPrecondition,
       "/namespace is missing or empty"},
  };
  for (const auto& test : cases) {
    Mount("east", test.files);
    const absl::Status status = MountedImportAccess(folder_.path(), "east").status();
    EXPECT_EQ(status.code(), test.code) << test.what;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.text)) << test.what;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary"))) << test.what;
  }
}

TEST_F(MountedImportTest, RefusesANameThatLeadsElsewhere) {
  for (const char* name : {"", "..", "../east", "a/b", "..data"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(MountedImportAccess(folder_.path(), name).status())) << name;
  }
}

TEST_F(MountedImportTest, UnreadableFileIsNamedWithTheUser) {
  if (geteuid() == 0 && seteuid(65532) != 0) GTEST_SKIP() << "root reads every file";
  const TemporaryFolder mine;
  WriteAtomically(mine / "east", ImportFiles("token-1"));
  chmod((mine / "east/token").c_str(), 0);
  const absl::Status status = MountedImportAccess(mine.path(), "east").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("token: Permission denied (this process runs as user"));
}

}  // namespace
}  // namespace k8s
