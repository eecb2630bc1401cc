#include "k8s/api/informer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>

#include "k8s/fakes/fake_transport.h"

namespace k8s {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

std::string PathOf(const std::string& name) {
  return "/api/v1/namespaces/ns/secrets/" + name;
}
Json Typed(const std::string& type) {
  return JsonObject{{"type", type}};
}

// Keeps the `type` of each Secret; one of type "bad" cannot be parsed.
class InformerTest : public testing::Test {
 protected:
  void Start() {
    informer_ = std::make_unique<Informer<std::string>>(
        client_, kSecrets, "", ListOptions(),
        [](const Json& object) -> absl::StatusOr<std::string> {
          const std::string type = StringAt(object, {"type"});
          if (type == "bad") return absl::InvalidArgumentError("bad");
          return type;
        },
        [this](const ObjectKey& key, const auto& before, const auto& after) {
          Told(key.name + ":" + (before ? *before : "-") + ">" + (after ? *after : "-"));
        },
        InformerHooks{.on_bad = [this](const ObjectKey& key, const absl::Status&) { Told(key.name + ":bad"); }},
        [](const std::string& type) { return std::vector{type}; });
    ASSERT_TRUE(informer_->WaitForSync(absl::Seconds(10)));
  }

  void Told(std::string line) {
    std::lock_guard lock(mu_);
    told_.push_back(std::move(line));
    changed_.notify_all();
  }
  bool WaitForTold(const std::string& line) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, kPatience, [&] { return std::count(told_.begin(), told_.end(), line) > 0; });
  }

  FakeTransport transport_;
  Client client_{transport_};
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::string> told_;                    // guarded by mu_
  std::unique_ptr<Informer<std::string>> informer_;  // last: its thread uses all of the above
};

TEST_F(InformerTest, TellsOfNewChangedAndDeletedObjects) {
  Start();
  transport_.Put(PathOf("a"), Typed("one"));
  EXPECT_TRUE(WaitForTold("a:->one"));
  transport_.Put(PathOf("a"), Typed("two"));
  EXPECT_TRUE(WaitForTold("a:one>two"));
  transport_.Remove(PathOf("a"));
  EXPECT_TRUE(WaitForTold("a:two>-"));
  EXPECT_EQ(informer_->store().Get({"ns", "a"}), nullptr);
}

TEST_F(InformerTest, ABadObjectStopsNoOther) {
  transport_.Put(PathOf("a"), Typed("bad"));
  transport_.Put(PathOf("b"), Typed("good"));
  Start();
  EXPECT_TRUE(WaitForTold("a:bad"));
  EXPECT_TRUE(WaitForTold("b:->good"));
}

TEST_F(InformerTest, AnObjectThatTurnsBadStaysAsItWas) {
  transport_.Put(PathOf("a"), Typed("good"));
  Start();
  transport_.Put(PathOf("a"), Typed("bad"));
  ASSERT_TRUE(WaitForTold("a:bad"));
  EXPECT_EQ(*informer_->store().Get({"ns", "a"}), "good");
}

TEST_F(InformerTest, ADeletionThatWasMissedIsToldAfterTheNextList) {
  constexpr char kWatch[] = "GET /api/v1/secrets?watch";
  transport_.Put(PathOf("a"), Typed("one"));
  Start();
  transport_.Hang(kWatch);
  transport_.EndWatches();
  ASSERT_TRUE(transport_.WaitForRequests(kWatch, 2));
  transport_.Remove(PathOf("a"));
  transport_.ForgetHistory();
  transport_.Release();
  EXPECT_TRUE(WaitForTold("a:one>-"));
}

TEST_F(InformerTest, ItsStoreIsIndexed) {
  transport_.Put(PathOf("a"), Typed("one"));
  Start();
  EXPECT_EQ(informer_->store().KeysBy("one"), (std::vector<ObjectKey>{{"ns", "a"}}));
}

}  // namespace
}  // namespace k8s
