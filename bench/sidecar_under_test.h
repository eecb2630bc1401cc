#ifndef BENCH_SIDECAR_UNDER_TEST_H_
#define BENCH_SIDECAR_UNDER_TEST_H_

#include <memory>
#include <string>

#include "bench/measure.h"
#include "k8s/core/secret_string.h"

namespace bench {

// Where the programs lie that are measured: beside this one, as Bazel builds them.
std::string ProgramPath(const std::string& target);

// A real mcsa-sidecar with `imports` imports, "import0" and so on, and their Secrets as mounted.
class SidecarUnderTest {
 public:
  // `broker` is host:port; the folder `credentials` holds its CA and a token.
  SidecarUnderTest(int imports, const std::string& broker, const std::string& credentials);

  // Whether the start gate would open.
  bool IsReady() const;
  std::string socket() const { return folder_ / "run/mcsa.sock"; }
  std::string log() const;
  pid_t id() const { return process_->id(); }

 private:
  const Folder folder_;
  const int imports_;
  std::unique_ptr<Process> process_;
};

std::string ImportName(int number);

}  // namespace bench

#endif  // BENCH_SIDECAR_UNDER_TEST_H_
