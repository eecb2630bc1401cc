#include "broker/stream_capacity.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "k8s/fakes/import_folder.h"

namespace broker {
namespace {

TEST(MemoryLimitTest, ReadsBothVersionsOfCgroups) {
  const k8s::TemporaryFolder folder;
  EXPECT_EQ(MemoryLimit(folder.path()), std::nullopt);
  std::filesystem::create_directory(folder / "memory");
  k8s::WriteFile(folder / "memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(MemoryLimit(folder.path()), std::nullopt);
  k8s::WriteFile(folder / "memory/memory.limit_in_bytes", "134217728\n");
  EXPECT_EQ(MemoryLimit(folder.path()), 134217728);
  k8s::WriteFile(folder / "memory.max", "268435456\n");
  EXPECT_EQ(MemoryLimit(folder.path()), 268435456);
}

TEST(MemoryLimitTest, NoLimitIsNone) {
  const k8s::TemporaryFolder folder;
  k8s::WriteFile(folder / "memory.max", "max\n");
  EXPECT_EQ(MemoryLimit(folder.path()), std::nullopt);
}

TEST(StreamCapacityTest, LeavesRoomForTheRest) {
  EXPECT_EQ(StreamCapacity(std::nullopt), std::numeric_limits<size_t>::max());
  EXPECT_EQ(StreamCapacity(size_t{512} << 20), 3584);
  EXPECT_EQ(StreamCapacity(size_t{1} << 20), 1);
}

}  // namespace
}  // namespace broker
