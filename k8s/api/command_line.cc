#include "k8s/api/command_line.h"

#include <string>

#include "k8s/core/version.h"

namespace k8s {

void AddLogLevel(CLI::App& command, LogLevel& level) {
  const auto set = [&level](const std::string& name) { level = ParseLogLevel(name); };
  command.add_option_function<std::string>("--log-level", set, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->default_str("info");
}

std::optional<int> ParseCommandLine(CLI::App& app, int argc, char** argv) {
  app.set_version_flag("--version", kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}

}  // namespace k8s
