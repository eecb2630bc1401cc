#include "sidecar/footprint.h"

#include <elf.h>
#include <link.h>
#include <malloc.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

// gRPC sizes its pools by the machine's cores: on a node with 64 of them it would start 40 threads for a pod that makes
// a call now and then. These are its own public functions (grpc/support/cpu.h); a definition in the program wins over
// the library's.
extern "C" unsigned gpr_cpu_num_cores(void) {
  return 1;
}

extern "C" unsigned gpr_cpu_current_cpu(void) {
  return 0;
}

namespace sidecar {

void KeepHeapSmall() {
  mallopt(M_ARENA_MAX, 1);
}

void ReturnStartupPages() {
  malloc_trim(0);
  const auto* const headers = reinterpret_cast<const ElfW(Phdr)*>(getauxval(AT_PHDR));
  const auto count = getauxval(AT_PHNUM);
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  uintptr_t base = 0;
  for (size_t i = 0; i < count; ++i) {
    if (headers[i].p_type == PT_PHDR) base = reinterpret_cast<uintptr_t>(headers) - headers[i].p_vaddr;
  }
  for (size_t i = 0; i < count; ++i) {
    // Pages that were ever writable hold what is nowhere else.
    if (headers[i].p_type != PT_LOAD || (headers[i].p_flags & PF_W) != 0) continue;
    const uintptr_t begin = base + (headers[i].p_vaddr & ~(page - 1));
    const uintptr_t end = (base + headers[i].p_vaddr + headers[i].p_filesz) & ~(page - 1);
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

}  // namespace sidecar
