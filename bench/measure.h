#ifndef BENCH_MEASURE_H_
#define BENCH_MEASURE_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

// One number, and what it is held against.
struct Result {
  std::string name;
  double value = 0;
  std::string unit;             // "ms", "MiB" or "bytes"
  std::optional<double> floor;  // what cannot be undercut, measured in the same run; none where the target is absolute
  double target = 0;            // of value / floor, or of value where there is no floor

  std::optional<double> ratio() const;
  bool ok() const { return ratio().value_or(value) <= target; }
};

// A table for people.
std::string ToTable(const std::vector<Result>& results);
// [{"name", "value", "unit", "floor", "ratio", "target", "ok"}]; floor and ratio are null where there is none.
std::string ToJson(const std::vector<Result>& results);

double Median(std::vector<double> values);
// The value below which `share` (0.99) of them lie.
double Percentile(std::vector<double> values, double share);

// How often each thing is measured, in turn with its floor, so that a machine that is busy for a while hurts both.
inline constexpr int kRounds = 9;

// Milliseconds that `action` takes.
double Milliseconds(const std::function<void()>& action);

// What the kernel has in memory for a process, in MiB (VmRSS); 0 if it is gone.
double ResidentMiB(pid_t process);
// The most it ever had (VmHWM).
double PeakResidentMiB(pid_t process);

// A program, killed with the object. Its output goes to `log`.
class Process {
 public:
  Process(const std::vector<std::string>& command, const std::string& log);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t id() const { return id_; }

 private:
  const pid_t id_;
};

// A new folder with a short path, removed with the object.
class Folder {
 public:
  Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  const std::string path_;
};

// Ends the benchmark with a sentence: a number that cannot be had must not look like one.
[[noreturn]] void Fail(const std::string& reason);

// What there must be to measure anything.
template <typename T>
T OrFail(absl::StatusOr<T> result) {
  if (!result.ok()) Fail(std::string(result.status().message()));
  return *std::move(result);
}

// Waits until `condition` holds, looking each 100 us; fails after `limit`.
void Await(const std::string& what, absl::Duration limit, const std::function<bool()>& condition);

}  // namespace bench

#endif  // BENCH_MEASURE_H_
