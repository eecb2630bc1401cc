#ifndef BENCH_WEBHOOK_BENCH_H_
#define BENCH_WEBHOOK_BENCH_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "bench/measure.h"

namespace bench {

struct Webhook {
  std::string url;  // "https://host:port/path"
  pid_t process = 0;
};

// The admission of a pod with the sidecar (admission_review.json) by the webhook's handler behind its HTTPS server: how
// long it takes, and the CPU time of it against a handler that does nothing behind the same server (RunWebhook). With a
// `peer`, another webhook that runs on this machine and patches that pod, also against its CPU time.
std::vector<Result> Admission(const std::optional<Webhook>& peer);

// Serves until it is killed; writes its port to `port_file`. `empty`: the handler does nothing. Never returns.
[[noreturn]] void RunWebhook(const std::string& port_file, bool empty);

}  // namespace bench

#endif  // BENCH_WEBHOOK_BENCH_H_
