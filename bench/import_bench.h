#ifndef BENCH_IMPORT_BENCH_H_
#define BENCH_IMPORT_BENCH_H_

#include <vector>

#include "bench/measure.h"

namespace bench {

// From an import's creation until a watch shows it ready, against the three calls that nobody can do without: a
// TokenRequest, the creation of a Secret, a write of the status. Real API servers, and the broker as it is shipped.
std::vector<Result> ImportReady();

// The same for 10,000 imports that a starting broker finds, against a loop that makes those calls, as many at once as
// the broker does; and the most memory that the broker had meanwhile.
std::vector<Result> ManyImports();

}  // namespace bench

#endif  // BENCH_IMPORT_BENCH_H_
