#ifndef SIDECAR_FOOTPRINT_H_
#define SIDECAR_FOOTPRINT_H_

// A sidecar is paid for once in every pod: what keeps it small at run time (DESIGN.md, Memory).
namespace sidecar {

// To be called first: one heap for all threads, where glibc would give each of gRPC's threads its own.
void KeepHeapSmall();

// To be called when all is set up: unmaps the pages of the program's code and constants. Those that are used again come
// back from the page cache, without a read; the start's, more than half of them, do not. The heap's free pages go too.
void ReturnStartupPages();

}  // namespace sidecar

#endif  // SIDECAR_FOOTPRINT_H_
