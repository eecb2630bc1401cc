#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "k8s/api/clock.h"
#include "k8s/api/lock_checks.h"
#include "k8s/api/log.h"
#include "k8s/api/stop_signal.h"
#include "k8s/core/names.h"
#include "k8s/core/version.h"
#include "sidecar/footprint.h"
#include "sidecar/options.h"
#include "sidecar/sidecar.h"
#include "sidecar/unix_socket.h"

namespace {

using k8s::Log;
using k8s::LogLevel;

constexpr absl::Duration kFirstLook = absl::Milliseconds(2);
constexpr absl::Duration kLastLook = absl::Milliseconds(100);
constexpr absl::Duration kProgress = absl::Seconds(10);

int Run(sidecar::Options options) {
  sidecar::KeepHeapSmall();
  k8s::SkipLockOrderChecks();
  k8s::SetLogLevel(options.log_level);
  k8s::BlockStopSignals();
  Log(LogLevel::kInfo, "mcsa-sidecar starts", {{"version", k8s::kVersion}, {"broker", options.broker}});
  sidecar::Sidecar sidecar(std::move(options), k8s::SystemClock());
  const absl::Status status = sidecar.Run(k8s::OpenStopSignals());
  if (!status.ok()) Log(LogLevel::kError, "mcsa-sidecar cannot serve", {{"error", std::string(status.message())}});
  // At once: open calls have nothing to lose, and a pod that ends should not wait for us.
  _exit(status.ok() ? 0 : 1);
}

// The imports that have no token yet, or nothing as long as the sidecar has not told which there are: it makes their
// directories, then the socket.
std::vector<std::string> MissingImports(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::exists(directory + "/mcsa.sock", error)) return {"the sidecar itself"};
  std::vector<std::string> missing;
  for (const fs::directory_entry& import : fs::directory_iterator(directory + "/imports", error)) {
    if (!fs::exists(import.path() / k8s::kTokenKey, error)) missing.push_back(import.path().filename());
  }
  return missing;
}

int Wait(const sidecar::Options& options) {
  const absl::Time start = absl::Now();
  absl::Time told = start;
  absl::Duration look = kFirstLook;
  for (;;) {
    const std::vector<std::string> missing = MissingImports(options.directory);
    if (missing.empty()) return 0;
    const absl::Time now = absl::Now();
    const bool over = now - start > options.timeout;
    if (over || now - told > kProgress) {
      told = now;
      std::string names;
      for (const std::string& name : missing) names += " " + name;
      const std::string line = absl::StrCat("waiting for the credentials of", names,
                                            "; see the log of container mcsa-sidecar for the reason\n");
      [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
    }
    if (over) return 1;
    absl::SleepFor(look);
    look = std::min(look * 2, kLastLook);
  }
}

int Check(const sidecar::Options& options) {
  const absl::Status status = sidecar::ProbeServer(options.directory + "/mcsa.sock", options.timeout);
  // Who refuses a connection is as alive as who answers; a restart would end those that it has.
  if (status.ok() || absl::IsResourceExhausted(status)) return 0;
  const std::string line = absl::StrCat(std::string(status.message()), "\n");
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  sidecar::Options options;
  if (const std::optional<int> status = sidecar::ParseOptions(argc, argv, options)) return *status;
  switch (options.command) {
    case sidecar::Options::Command::kRun:
      return Run(std::move(options));
    case sidecar::Options::Command::kWait:
      return Wait(options);
    case sidecar::Options::Command::kCheck:
      return Check(options);
  }
}
