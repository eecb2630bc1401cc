#include "bench/measure.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string_view>

#include "k8s/core/json.h"

namespace bench {
namespace {

pid_t Spawn(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // also if we are killed
    const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  return child;
}

// A line of /proc/PID/status.
double StatusMiB(pid_t process, std::string_view line) {
  std::ifstream status(absl::StrCat("/proc/", process, "/status"));
  for (std::string word; status >> word;) {
    double kib = 0;
    if (word == line && status >> kib) return kib / 1024;
  }
  return 0;
}

std::string MakeFolder() {
  std::string path = "/tmp/mcsa-bench.XXXXXX";
  if (mkdtemp(path.data()) == nullptr) Fail("cannot make a folder in /tmp");
  return path;
}

}  // namespace

std::optional<double> Result::ratio() const {
  return floor ? std::optional(value / *floor) : std::nullopt;
}

std::string ToTable(const std::vector<Result>& results) {
  std::string table =
      absl::StrFormat("%-24s %12s %-6s %12s %8s %8s\n", "name", "value", "unit", "floor", "ratio", "target");
  const auto number = [](std::optional<double> value) { return value ? absl::StrFormat("%.3f", *value) : "-"; };
  for (const Result& result : results) {
    absl::StrAppend(&table, absl::StrFormat("%-24s %12s %-6s %12s %8s %8s%s\n", result.name, number(result.value),
                                            result.unit, number(result.floor), number(result.ratio()),
                                            absl::StrFormat("%.2f", result.target), result.ok() ? "" : "  missed"));
  }
  return table;
}

std::string ToJson(const std::vector<Result>& results) {
  const auto number = [](std::optional<double> value) { return value ? k8s::Json(*value) : k8s::Json(nullptr); };
  k8s::JsonArray array;
  for (const Result& result : results) {
    array.push_back(k8s::JsonObject{{"name", result.name},
                                    {"value", result.value},
                                    {"unit", result.unit},
                                    {"floor", number(result.floor)},
                                    {"ratio", number(result.ratio())},
                                    {"target", result.target},
                                    {"ok", result.ok()}});
  }
  return boost::json::serialize(array) + "\n";
}

double Median(std::vector<double> values) {
  return Percentile(std::move(values), 0.5);
}

double Percentile(std::vector<double> values, double share) {
  if (values.empty()) Fail("there is nothing to take a percentile of");
  const size_t rank = std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(rank), values.end());
  return values[rank];
}

double Milliseconds(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double ResidentMiB(pid_t process) {
  return StatusMiB(process, "VmRSS:");
}

double PeakResidentMiB(pid_t process) {
  return StatusMiB(process, "VmHWM:");
}

Process::Process(const std::vector<std::string>& command, const std::string& log) : id_(Spawn(command, log)) {}

Process::~Process() {
  kill(id_, SIGKILL);
  waitpid(id_, nullptr, 0);
}

Folder::Folder() : path_(MakeFolder()) {}

Folder::~Folder() {
  std::filesystem::remove_all(path_);
}

void Fail(const std::string& reason) {
  std::cerr << "bench: " << reason << "\n";
  _exit(1);
}

void Await(const std::string& what, absl::Duration limit, const std::function<bool()>& condition) {
  for (const absl::Time end = absl::Now() + limit; !condition(); absl::SleepFor(absl::Microseconds(100))) {
    if (absl::Now() > end) Fail(absl::StrCat(what, " did not happen within ", absl::FormatDuration(limit)));
  }
}

}  // namespace bench
