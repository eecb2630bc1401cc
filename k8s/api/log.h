#ifndef K8S_API_LOG_H_
#define K8S_API_LOG_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace k8s {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// What varies goes into fields, so that a constant sentence can be searched for: {"import", "team-a/reports"}.
using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

// Writes one JSON line to standard error: {"time":...,"level":"info","message":...,"import":...}. Thread-safe; lines
// never mix. There is no overload for a SecretString.
void Log(LogLevel level, std::string_view message, LogFields fields = {});

// "debug", "info", "warn" or "error"; anything else is kInfo.
LogLevel ParseLogLevel(std::string_view name);

// Lines below `level` are dropped; kInfo at start. Thread-safe.
void SetLogLevel(LogLevel level);

// Writes one audit line to standard output, whatever the level: {"time":...,"audit":"TokenIssued",...}. A stream of its
// own so that it can be kept longer than the log.
void Audit(std::string_view action, LogFields fields);

}  // namespace k8s

#endif  // K8S_API_LOG_H_
