#include "k8s/api/event_recorder.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "k8s/api/log.h"

namespace k8s {
namespace {

constexpr size_t kMaxWaiting = 1000;
constexpr size_t kMaxNoteBytes = 1024;
constexpr size_t kMaxNameBytes = 200;  // of the regarded object's, so that the suffix fits into 253
// Of normal events. Of 10,000 imports that are made at once, and then renewed every half hour, each event would be one
// write in four; the status says the same.
constexpr double kNormalBurst = 100;
constexpr double kNormalPerSecond = 5;
constexpr absl::Duration kRepeatAfter = absl::Minutes(10);

}  // namespace

EventRecorder::EventRecorder(const Client& client, const Clock& clock, std::string controller, std::string instance)
    : client_(client),
      clock_(clock),
      controller_(std::move(controller)),
      instance_(std::move(instance)),
      normal_(kNormalBurst, kNormalPerSecond, clock.Monotonic()),
      thread_([this] { Loop(); }) {}

EventRecorder::~EventRecorder() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void EventRecorder::Record(const ObjectReference& regarding, const EventText& text) {
  std::lock_guard lock(mu_);
  const absl::Duration now = clock_.Monotonic();
  std::erase_if(last_written_, [&](const auto& entry) { return now - entry.second > kRepeatAfter; });
  const std::string same = absl::StrCat(regarding.uid, "/", text.reason, "/", text.note);
  if (last_written_.contains(same)) return;
  if (waiting_.size() >= kMaxWaiting || !(text.warning || normal_.Take(now))) {
    ++dropped_;
    return;
  }
  // Not before: what was dropped is to be written when it comes again.
  last_written_.emplace(same, now);
  const std::string name = absl::StrCat(regarding.key.name.substr(0, kMaxNameBytes), ".",
                                        absl::Hex(absl::ToUnixNanos(clock_.Now())), absl::Hex(sequence_++));
  waiting_.push_back(JsonObject{
      {"apiVersion", "events.k8s.io/v1"},
      {"kind", "Event"},
      {"metadata", JsonObject{{"name", name}, {"namespace", regarding.key.namespace_name}}},
      {"eventTime", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", clock_.Now(), absl::UTCTimeZone())},
      {"reportingController", controller_},
      {"reportingInstance", instance_},
      {"action", text.action},
      {"reason", text.reason},
      {"type", text.warning ? "Warning" : "Normal"},
      {"note", CutUtf8(text.note, kMaxNoteBytes)},
      {"regarding", JsonObject{{"apiVersion", regarding.api_version},
                               {"kind", regarding.kind},
                               {"namespace", regarding.key.namespace_name},
                               {"name", regarding.key.name},
                               {"uid", regarding.uid}}},
  });
  wake_.notify_all();
}

int64_t EventRecorder::dropped() const {
  std::lock_guard lock(mu_);
  return dropped_;
}

void EventRecorder::Loop() {
  std::unique_lock lock(mu_);
  absl::Duration stop_by = absl::InfiniteDuration();
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (stopping_ && stop_by == absl::InfiniteDuration()) stop_by = clock_.Monotonic() + absl::Seconds(1);
    if (waiting_.empty() || clock_.Monotonic() > stop_by) return;
    const Json event = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    const absl::Status status = client_.Create(kEvents, StringAt(event, {"metadata", "namespace"}), event).status();
    // A namespace that is being deleted takes no events; that is no fault.
    if (!status.ok() && !absl::IsNotFound(status) && !absl::IsPermissionDenied(status)) {
      Log(LogLevel::kWarn, "cannot write an event", {{"error", std::string(status.message())}});
    }
    lock.lock();
  }
}

}  // namespace k8s
