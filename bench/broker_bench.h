#ifndef BENCH_BROKER_BENCH_H_
#define BENCH_BROKER_BENCH_H_

#include <vector>

#include "bench/measure.h"

namespace bench {

// From the moment at which the broker has a new token to the callback of an app behind a real sidecar, with 1,000 other
// streams open.
std::vector<Result> Propagation();

// The same for an import that 1,000 streams are subscribed to, until each has it; and how that compares with a server
// that does nothing but write.
std::vector<Result> FanOut();

// What a stream takes of the broker's memory, against an empty one; and the memory a minute after all have left,
// against that before they came.
std::vector<Result> StreamMemory();

// The first of these with 15,000 streams open at once. Takes two minutes.
std::vector<Result> ManyStreams();

}  // namespace bench

#endif  // BENCH_BROKER_BENCH_H_
