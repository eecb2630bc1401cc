#include "k8s/api/event_recorder.h"

#include <gtest/gtest.h>

#include <memory>

#include "k8s/fakes/fake_clock.h"
#include "k8s/fakes/fake_transport.h"

namespace k8s {
namespace {

constexpr char kPost[] = "POST /apis/events.k8s.io/v1/namespaces/ns/events";
const ObjectReference kImport{"multicluster.admiralty.io/v1alpha1", "ServiceAccountImport", {"ns", "a"}, "uid-1"};
const EventText kText{.warning = true, .reason = "Refused", .action = "Reconcile", .note = "No policy allows it."};

class EventRecorderTest : public testing::Test {
 protected:
  Json LastEvent() {
    absl::StatusOr<Json> event = ParseJson(transport_.requests().back().body);
    return event.ok() ? *event : Json();
  }

  FakeTransport transport_;
  FakeClock clock_;
  Client client_{transport_};
  std::unique_ptr<EventRecorder> recorder_ = std::make_unique<EventRecorder>(client_, clock_, "controller", "pod-0");
};

TEST_F(EventRecorderTest, WritesTheEventBesideItsObject) {
  recorder_->Record(kImport, kText);
  ASSERT_TRUE(transport_.WaitForRequests(kPost, 1));
  const Json event = LastEvent();
  EXPECT_EQ(StringAt(event, {"regarding", "uid"}), "uid-1");
  EXPECT_EQ(StringAt(event, {"type"}), "Warning");
  EXPECT_EQ(StringAt(event, {"note"}), kText.note);
}

TEST_F(EventRecorderTest, WritesTheSameTextOnceInTenMinutes) {
  recorder_->Record(kImport, kText);
  clock_.Advance(absl::Minutes(10));
  recorder_->Record(kImport, kText);
  clock_.Advance(absl::Seconds(1));
  recorder_->Record(kImport, kText);
  recorder_.reset();  // writes what waits
  EXPECT_EQ(transport_.CountRequests(kPost), 2);
}

TEST_F(EventRecorderTest, DropsAndCountsWhatDoesNotFit) {
  transport_.Hang(kPost);
  recorder_->Record(kImport, kText);
  ASSERT_TRUE(transport_.WaitForRequests(kPost, 1));  // so that one is in flight, and the queue empty
  for (int i = 0; i < 1002; ++i)
    recorder_->Record(kImport, {.warning = true, .reason = "Refused", .note = std::to_string(i)});
  EXPECT_EQ(recorder_->dropped(), 2);
  transport_.Release();
}

TEST_F(EventRecorderTest, OfManyNormalEventsAtOnceAHundredAreWritten) {
  const auto record = [&](int first) {
    for (int i = first; i < first + 150; ++i)
      recorder_->Record(kImport, {.reason = "Issued", .note = std::to_string(i)});
  };
  record(0);
  EXPECT_EQ(recorder_->dropped(), 50);
  clock_.Advance(absl::Seconds(2));
  record(150);
  EXPECT_EQ(recorder_->dropped(), 50 + 140);
  recorder_->Record(kImport, kText);  // a warning
  EXPECT_EQ(recorder_->dropped(), 50 + 140);
}

TEST_F(EventRecorderTest, ADroppedTextCountsAsNotWritten) {
  transport_.Hang(kPost);
  recorder_->Record(kImport, kText);
  ASSERT_TRUE(transport_.WaitForRequests(kPost, 1));
  for (int i = 0; i < 1000; ++i)
    recorder_->Record(kImport, {.warning = true, .reason = "Refused", .note = std::to_string(i)});
  recorder_->Record(kImport, {.warning = true, .reason = "Refused", .note = "late"});
  ASSERT_EQ(recorder_->dropped(), 1);
  transport_.Release();
  ASSERT_TRUE(transport_.WaitForRequests(kPost, 1001));
  recorder_->Record(kImport, {.warning = true, .reason = "Refused", .note = "late"});
  EXPECT_TRUE(transport_.WaitForRequests(kPost, 1002, absl::Seconds(5)));
}

TEST_F(EventRecorderTest, CutsALongNoteBetweenCharacters) {
  std::string note(1023, 'x');
  note += "\u00e9";  // two bytes, of which one would fit
  recorder_->Record(kImport, {.warning = true, .reason = "Refused", .note = note});
  ASSERT_TRUE(transport_.WaitForRequests(kPost, 1));
  EXPECT_EQ(StringAt(LastEvent(), {"note"}), std::string(1023, 'x'));
}

}  // namespace
}  // namespace k8s
