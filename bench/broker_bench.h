#ifndef BENCH_BROKER_BENCH_H_
#define BENCH_BROKER_BENCH_H_

#include <string>
#include <vector>

#include "bench/measure.h"

namespace bench {

// From the moment at which the broker has a new token to the callback of an app behind a real sidecar, with 1,000 other
// streams open.
std::vector<Result> Propagation();

// The same for an import that 1,000 streams are subscribed to, until each has it.
std::vector<Result> FanOut();

// The broker's gRPC server in a process of its own, with API server and tokens made up: it serves pods pod0 to pod1000,
// writes its port and CA into `folder`, and mints a token of an import for each line in the pipe folder/mint.
// Never returns.
[[noreturn]] void RunBroker(const std::string& folder);

}  // namespace bench

#endif  // BENCH_BROKER_BENCH_H_
