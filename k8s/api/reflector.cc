#include "k8s/api/reflector.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "k8s/core/object.h"

namespace k8s {
namespace {

constexpr absl::Duration kMinBackoff = absl::Milliseconds(500);
// A watch that ends sooner and brought nothing, or is cut sooner, is no watch that came to its end (client-go: "very
// short watch").
constexpr auto kShortWatch = std::chrono::seconds(1);

class AtomicCanceller final : public StreamCanceller {
 public:
  explicit AtomicCanceller(const std::atomic<bool>& flag) : flag_(flag) {}
  bool Cancelled() const override { return flag_.load(); }

 private:
  const std::atomic<bool>& flag_;
};

std::string ResourceVersionOf(const Json& object) {
  return StringAt(object, {"metadata", "resourceVersion"});
}

// Errors that watching on from the same place would meet for ever, or that make what we hold doubtful.
bool NeedsNewList(const absl::Status& status) {
  return absl::IsOutOfRange(status) || absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status) ||
         absl::IsNotFound(status);
}

// The bookmark that ends the list part of a watch.
bool EndsInitialEvents(const WatchEvent& event) {
  return event.type == WatchEventType::kBookmark &&
         StringAt(event.object, {"metadata", "annotations", "k8s.io/initial-events-end"}) == "true";
}

}  // namespace

Reflector::Reflector(const Client& client, Resource resource, std::string namespace_name, ListOptions options,
                     Callbacks callbacks, absl::Duration max_backoff)
    : client_(client),
      resource_(std::move(resource)),
      namespace_name_(std::move(namespace_name)),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      max_backoff_(max_backoff),
      thread_([this] { Loop(); }) {}

Reflector::~Reflector() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool Reflector::WaitForSync(absl::Duration timeout) {
  std::unique_lock lock(mu_);
  return wake_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] { return synced_; });
}

void Reflector::Loop() {
  std::mt19937_64 rng(std::random_device{}());
  absl::Duration backoff = kMinBackoff;
  while (!stopping_) {
    progressed_ = false;
    const auto begin = std::chrono::steady_clock::now();
    absl::Status status = ListAndWatch();
    if (stopping_) return;
    const bool lasted = std::chrono::steady_clock::now() - begin >= kShortWatch;
    // A connection that is cut under a watch is that watch's end, and no failure: load balancers cut those that are
    // idle for less than the minute between two bookmarks.
    const bool cut = absl::IsAborted(status) && !resource_version_.empty();
    if (cut) status = absl::OkStatus();
    if (progressed_ || (status.ok() && lasted)) backoff = kMinBackoff;
    if (status.ok() && (lasted || (progressed_ && !cut))) {
      if (std::exchange(failing_, false)) callbacks_.on_state(absl::OkStatus());
      // The server ends each watch sooner or later; go on at once, yet never in a tight loop.
      if (!Sleep(absl::Milliseconds(50))) return;
      continue;
    }
    if (NeedsNewList(status)) resource_version_.clear();
    // Forgotten history is no failure: the next list is.
    if (!status.ok() && !absl::IsOutOfRange(status)) {
      failing_ = true;
      callbacks_.on_state(status);
    }
    const double jitter = std::uniform_real_distribution<>(1.0, 1.5)(rng);
    if (!Sleep(backoff * jitter)) return;
    backoff = std::min(backoff * 2, max_backoff_);
  }
}

absl::Status Reflector::ListAndWatch() {
  if (!resource_version_.empty()) return WatchOn();
  if (list_by_watch_) {
    const absl::Status status = ListByWatch();
    if (stopping_ || !resource_version_.empty()) return status;
    // Servers with the feature off (before 1.32) answer 422. Those from before 1.27 ignore the wish: their events end,
    // or a common bookmark comes, without the mark.
    if (!status.ok() && !absl::IsInvalidArgument(status)) return status;
    list_by_watch_ = false;
  }
  if (absl::Status status = ListByPages(); !status.ok()) return status;
  return WatchOn();
}

absl::Status Reflector::ListByWatch() {
  bool initial = true;
  absl::Status fits;
  std::set<ObjectKey> listed;
  const absl::Status status = client_.Watch(resource_, namespace_name_, {.list = options_, .send_initial_events = true},
                                            AtomicCanceller(stopping_), [&](WatchEvent event) {
                                              if (!initial) {
                                                Follow(std::move(event));
                                              } else if (EndsInitialEvents(event)) {
                                                initial = false;
                                                Synced(std::exchange(listed, {}), ResourceVersionOf(event.object));
                                              } else if (event.type == WatchEventType::kBookmark) {
                                                return false;
                                              } else {
                                                const ObjectKey key = KeyOf(event.object);
                                                if (event.type == WatchEventType::kDeleted) {
                                                  listed.erase(key);
                                                } else {
                                                  listed.insert(key);
                                                }
                                                callbacks_.on_event(event.type, std::move(event.object));
                                                fits = CheckListSize(resource_, listed.size());
                                              }
                                              return !stopping_ && fits.ok();
                                            });
  return fits.ok() ? status : fits;
}

absl::Status Reflector::ListByPages() {
  std::set<ObjectKey> listed;
  const absl::StatusOr<std::string> version =
      client_.ListPages(resource_, namespace_name_, options_, [&](ListPage page) {
        if (stopping_) return absl::CancelledError("stopping");
        if (page.first) listed.clear();
        for (Json& item : page.items) {
          listed.insert(KeyOf(item));
          callbacks_.on_event(WatchEventType::kAdded, std::move(item));
        }
        return absl::OkStatus();
      });
  if (!version.ok()) return version.status();
  Synced(listed, *version);
  return absl::OkStatus();
}

absl::Status Reflector::WatchOn() {
  return client_.Watch(resource_, namespace_name_, {.list = options_, .resource_version = resource_version_},
                       AtomicCanceller(stopping_), [&](WatchEvent event) {
                         Follow(std::move(event));
                         return !stopping_;
                       });
}

void Reflector::Follow(WatchEvent event) {
  progressed_ = true;
  resource_version_ = ResourceVersionOf(event.object);
  if (event.type != WatchEventType::kBookmark) callbacks_.on_event(event.type, std::move(event.object));
  if (std::exchange(failing_, false)) callbacks_.on_state(absl::OkStatus());
}

void Reflector::Synced(const std::set<ObjectKey>& listed, std::string resource_version) {
  progressed_ = true;
  failing_ = false;
  resource_version_ = std::move(resource_version);
  callbacks_.on_listed(listed);
  {
    std::lock_guard lock(mu_);
    synced_ = true;
  }
  wake_.notify_all();
  callbacks_.on_state(absl::OkStatus());
}

bool Reflector::Sleep(absl::Duration delay) {
  std::unique_lock lock(mu_);
  return !wake_.wait_for(lock, absl::ToChronoNanoseconds(delay), [&] { return stopping_.load(); });
}

}  // namespace k8s
