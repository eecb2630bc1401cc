#ifndef BENCH_BROKER_UNDER_TEST_H_
#define BENCH_BROKER_UNDER_TEST_H_

#include <sys/types.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bench/measure.h"

namespace bench {

inline constexpr int kStreams = 1000;
// What pods dial, and tests/load expects in the certificate.
inline constexpr char kServiceName[] = "service-account-import-controller.multicluster-service-account.svc";

// The import that pod `number` alone has; ImportName(0) and so on are those of all.
std::string OtherImport(int number);

// What the kubelet would project into pod `number`, but for the signature.
std::string PodToken(int number);

// How long ago a token was minted, by its id; nullopt if it says nothing of that.
std::optional<double> MillisecondsSince(std::string_view token_id);

// A server in a process of its own.
class BrokerUnderTest {
 public:
  enum class Kind { kBroker, kWriter };
  // `pods`: how many it knows, besides number 0.
  explicit BrokerUnderTest(Kind kind, int pods = kStreams);

  std::string address() const;
  std::string ca() const;
  std::string ca_file() const { return folder_ / "ca.crt"; }
  // With ca.crt and a pod's token, as a sidecar needs it.
  std::string directory() const { return folder_ / ""; }
  pid_t id() const { return process_->id(); }
  void Mint(const std::string& import) { mint_ << import << std::endl; }

 private:
  const Folder folder_;
  std::unique_ptr<Process> process_;
  std::ofstream mint_;
};

// The broker's gRPC server, with API server and tokens made up: it serves `pods`, writes its port and CA into
// `folder`, and mints a token of an import for each line in the pipe folder/mint. Never returns.
[[noreturn]] void RunBroker(const std::string& folder, int pods);

// The floor of a fan-out: the same library, flags and TLS, but it asks nobody who calls, and writes the same bytes to
// all streams for each line in the pipe. Never returns.
[[noreturn]] void RunWriter(const std::string& folder);

}  // namespace bench

#endif  // BENCH_BROKER_UNDER_TEST_H_
