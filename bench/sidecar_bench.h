#ifndef BENCH_SIDECAR_BENCH_H_
#define BENCH_SIDECAR_BENCH_H_

#include <string>
#include <vector>

#include "bench/measure.h"

namespace bench {

// A call to a real sidecar's socket, against one to a server that does nothing (RunEmptyServer).
std::vector<Result> GetConfigLatency();

// Resident memory of a sidecar with 10 imports and an open stream; then after 10,000 calls and 1,000 updates.
std::vector<Result> SidecarMemory();

// From the start of the process to the opening of the start gate, with the broker down.
std::vector<Result> SidecarReady();

// The floor of GetConfigLatency: the same service by the callback API, with the same flags, answering with an empty
// message. Never returns.
[[noreturn]] void RunEmptyServer(const std::string& socket);

}  // namespace bench

#endif  // BENCH_SIDECAR_BENCH_H_
