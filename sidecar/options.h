#ifndef SIDECAR_OPTIONS_H_
#define SIDECAR_OPTIONS_H_

#include <absl/time/time.h>

#include <optional>
#include <string>
#include <vector>

#include "k8s/api/log.h"

namespace sidecar {

struct Options {
  enum class Command { kRun, kWait, kCheck };
  Command command = Command::kRun;

  // Where the socket, the merged kubeconfig, the plugin and a folder for each import are kept.
  std::string directory;
  // run
  std::vector<std::string> imports;
  std::string secrets_directory;      // with the Secret of each import as mounted, if there is one
  std::string credentials_directory;  // with our token for the broker and its CA
  std::string broker;                 // host:port
  std::string plugin;                 // the exec plugin's program; "" for none
  k8s::LogLevel log_level = k8s::LogLevel::kInfo;
  // wait, check
  absl::Duration timeout = absl::InfiniteDuration();
};

// Parses the command line. If there is nothing left to do (--help, --version, a mistake), it has printed what there is
// to say, and the result is the exit status instead.
std::optional<int> ParseOptions(int argc, char** argv, Options& options);

}  // namespace sidecar

#endif  // SIDECAR_OPTIONS_H_
