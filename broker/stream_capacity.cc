#include "broker/stream_capacity.h"

#include <algorithm>
#include <fstream>
#include <limits>

namespace broker {
namespace {

// For all that is no stream: code, imports, watches, and connections that have no stream yet.
constexpr size_t kRestBytes = 64 << 20;
constexpr size_t kStreamBytes = 128 << 10;  // measured: 100,000
// No version of cgroups has a word for "no limit" that the other has; none of us has a petabyte.
constexpr size_t kUnlimited = size_t{1} << 50;

}  // namespace

std::optional<size_t> MemoryLimit(const std::string& root) {
  for (const char* file : {"/memory.max", "/memory/memory.limit_in_bytes"}) {
    size_t limit = 0;
    if (std::ifstream(root + file) >> limit && limit < kUnlimited) return limit;
  }
  return std::nullopt;
}

size_t StreamCapacity(std::optional<size_t> memory_limit) {
  if (!memory_limit) return std::numeric_limits<size_t>::max();
  return std::max(*memory_limit, kRestBytes + kStreamBytes) / kStreamBytes - kRestBytes / kStreamBytes;
}

}  // namespace broker
