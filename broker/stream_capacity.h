#ifndef BROKER_STREAM_CAPACITY_H_
#define BROKER_STREAM_CAPACITY_H_

#include <cstddef>
#include <optional>
#include <string>

namespace broker {

// The memory that this process's container may use, in bytes, as the cgroup's files below `root` have it (version 2 or
// 1); nullopt: as much as there is.
std::optional<size_t> MemoryLimit(const std::string& root = "/sys/fs/cgroup");

// How many streams a replica with so much memory takes: more would end it, and send all of them to the next replica,
// which they would end as well.
size_t StreamCapacity(std::optional<size_t> memory_limit);

}  // namespace broker

#endif  // BROKER_STREAM_CAPACITY_H_
