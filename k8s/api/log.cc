#include "k8s/api/log.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>

namespace k8s {
namespace {

std::atomic<LogLevel> min_level = LogLevel::kInfo;

const char* Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

void WriteLine(int file, boost::json::object line, LogFields fields) {
  for (const auto& [key, value] : fields) line[key] = value;
  std::string text = boost::json::serialize(line);
  text += '\n';
  // One write is one line also when several threads or processes share the file; a full disk is no reason to stop.
  [[maybe_unused]] const ssize_t written = write(file, text.data(), text.size());
}

std::string Timestamp() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
}

}  // namespace

void Log(LogLevel level, std::string_view message, LogFields fields) {
  if (level < min_level.load(std::memory_order_relaxed)) return;
  WriteLine(STDERR_FILENO, {{"time", Timestamp()}, {"level", Name(level)}, {"message", message}}, fields);
}

LogLevel ParseLogLevel(std::string_view name) {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kWarn, LogLevel::kError}) {
    if (name == Name(level)) return level;
  }
  return LogLevel::kInfo;
}

void SetLogLevel(LogLevel level) {
  min_level.store(level, std::memory_order_relaxed);
}

void Audit(std::string_view action, LogFields fields) {
  WriteLine(STDOUT_FILENO, {{"time", Timestamp()}, {"audit", action}}, fields);
}

}  // namespace k8s
