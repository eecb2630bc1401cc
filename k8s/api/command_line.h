#ifndef K8S_API_COMMAND_LINE_H_
#define K8S_API_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <optional>

#include "k8s/api/log.h"

// What the command lines of our programs have in common.
namespace k8s {

// Adds --log-level to what `level` is set to; "info" is the default, also of `level`.
void AddLogLevel(CLI::App& command, LogLevel& level);

// Adds --version and parses. If there is nothing left to do (--help, --version, a mistake), it has printed what there
// is to say, and the result is the exit status instead: 0, or 2 for a mistake.
std::optional<int> ParseCommandLine(CLI::App& app, int argc, char** argv);

}  // namespace k8s

#endif  // K8S_API_COMMAND_LINE_H_
