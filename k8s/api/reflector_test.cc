#include "k8s/api/reflector.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>

#include "k8s/core/object.h"
#include "k8s/fakes/fake_transport.h"

namespace k8s {
namespace {

using ::testing::ElementsAre;

constexpr char kWatchList[] =
    "GET /api/v1/secrets?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&sendInitialEvents";
constexpr char kWatchOn[] = "GET /api/v1/secrets?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=";
constexpr char kList[] = "GET /api/v1/secrets?limit";
constexpr auto kPatience = std::chrono::seconds(10);

std::string PathOf(const std::string& name) {
  return "/api/v1/namespaces/ns/secrets/" + name;
}

HttpResponse Ok(const std::string& body) {
  HttpResponse response;
  response.status = 200;
  response.body = SecretString(body);
  return response;
}

// So many that a list of them is larger than List() would read.
constexpr size_t kLargeBytes = 3 << 20;
constexpr size_t kLargeObjects = kMaxListBytes / kLargeBytes + 1;

std::string LargeObject(size_t number) {
  return absl::StrCat(R"({"metadata": {"namespace": "ns", "name": ")", number, R"("}, "padding": ")",
                      std::string(kLargeBytes, 'x'), "\"}");
}

class ReflectorTest : public testing::Test {
 protected:
  void Start() {
    reflector_ = std::make_unique<Reflector>(client_, kSecrets, "", ListOptions(),
                                             Reflector::Callbacks{.on_event =
                                                                      [this](WatchEventType type, const Json& object) {
                                                                        std::lock_guard lock(mu_);
                                                                        if (type == WatchEventType::kDeleted) {
                                                                          names_.erase(KeyOf(object).name);
                                                                        } else {
                                                                          names_.insert(KeyOf(object).name);
                                                                        }
                                                                        changed_.notify_all();
                                                                      },
                                                                  .on_listed =
                                                                      [this](const std::set<ObjectKey>& listed) {
                                                                        std::lock_guard lock(mu_);
                                                                        ++lists_;
                                                                        std::erase_if(names_, [&](const auto& name) {
                                                                          return !listed.contains({"ns", name});
                                                                        });
                                                                        changed_.notify_all();
                                                                      },
                                                                  .on_state =
                                                                      [this](const absl::Status& status) {
                                                                        std::lock_guard lock(mu_);
                                                                        state_ = status;
                                                                        failures_ += !status.ok();
                                                                        changed_.notify_all();
                                                                      }});
  }

  bool WaitFor(const std::function<bool()>& condition, std::chrono::milliseconds patience = kPatience) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, patience, condition);
  }
  bool WaitForNames(const std::set<std::string>& names) {
    return WaitFor([&] { return names_ == names; });
  }

  FakeTransport transport_;
  Client client_{transport_};
  std::mutex mu_;
  std::condition_variable changed_;
  std::set<std::string> names_;                              // guarded by mu_
  int lists_ = 0;                                            // guarded by mu_
  int failures_ = 0;                                         // guarded by mu_
  absl::Status state_ = absl::UnknownError("not yet told");  // guarded by mu_
  std::unique_ptr<Reflector> reflector_;                     // last: its thread uses all of the above
};

TEST_F(ReflectorTest, ListsAndFollows) {
  transport_.Put(PathOf("a"), JsonObject());
  Start();
  ASSERT_TRUE(reflector_->WaitForSync(absl::Seconds(10)));
  transport_.Put(PathOf("b"), JsonObject());
  EXPECT_TRUE(WaitForNames({"a", "b"}));
  transport_.Remove(PathOf("a"));
  EXPECT_TRUE(WaitForNames({"b"}));
  EXPECT_EQ(transport_.CountRequests(kList), 0);
}

TEST_F(ReflectorTest, ListsByPagesWhereTheServerRefusesTheListAsEvents) {
  transport_.SetWatchList(FakeTransport::WatchList::kRefused);
  transport_.Put(PathOf("a"), JsonObject());
  Start();
  EXPECT_TRUE(WaitForNames({"a"}));
  transport_.Put(PathOf("b"), JsonObject());
  EXPECT_TRUE(WaitForNames({"a", "b"}));
}

TEST_F(ReflectorTest, ListsByPagesWhereTheServerIgnoresTheWishForEvents) {
  transport_.SetWatchList(FakeTransport::WatchList::kUnknown);
  transport_.Put(PathOf("a"), JsonObject());
  Start();
  ASSERT_TRUE(transport_.WaitForRequests(kWatchList, 1));
  EXPECT_FALSE(reflector_->WaitForSync(absl::Milliseconds(100)));
  transport_.SendBookmark();  // one that ends no list
  EXPECT_TRUE(reflector_->WaitForSync(absl::Seconds(10)));
  EXPECT_TRUE(WaitForNames({"a"}));
}

TEST_F(ReflectorTest, ListsByPagesWhenTheListAsEventsEndsWithoutItsMark) {
  transport_.SetWatchList(FakeTransport::WatchList::kUnknown);
  Start();
  ASSERT_TRUE(transport_.WaitForRequests(kWatchList, 1));
  transport_.EndWatches();
  EXPECT_TRUE(reflector_->WaitForSync(absl::Seconds(10)));
}

TEST_F(ReflectorTest, AListAsEventsWithoutEndIsLeft) {
  transport_.Respond(kWatchList, [](const HttpRequest&) {
    std::string body;
    for (size_t i = 0; i <= kMaxListItems; ++i) {
      absl::StrAppend(&body, R"({"type": "ADDED", "object": {"metadata": {"name": ")", i, "\"}}}\n");
    }
    return Ok(body);
  });
  Start();
  EXPECT_TRUE(WaitFor([&] { return absl::IsResourceExhausted(state_); }));
}

// In both forms: of what is read, nothing but names is held.
TEST_F(ReflectorTest, AListAsEventsMayBeLargerThanMemory) {
  transport_.Respond(kWatchList, [](const HttpRequest&) {
    std::string body;
    for (size_t i = 0; i < kLargeObjects; ++i) {
      absl::StrAppend(&body, R"({"type": "ADDED", "object": )", LargeObject(i), "}\n");
    }
    absl::StrAppend(&body, R"({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7", )",
                    R"("annotations": {"k8s.io/initial-events-end": "true"}}}})", "\n");
    return Ok(body);
  });
  Start();
  EXPECT_TRUE(reflector_->WaitForSync(absl::Seconds(30)));
  EXPECT_EQ(names_.size(), kLargeObjects);
}

TEST_F(ReflectorTest, AListByPagesMayBeLargerThanMemory) {
  transport_.SetWatchList(FakeTransport::WatchList::kRefused);
  transport_.Respond(kList, [pages = std::make_shared<size_t>()](const HttpRequest&) {
    const size_t page = (*pages)++;
    const std::string next = page + 1 < kLargeObjects ? "more" : "";
    return Ok(absl::StrCat(R"({"metadata": {"resourceVersion": "7", "continue": ")", next, R"("}, "items": [)",
                           LargeObject(page), "]}"));
  });
  Start();
  EXPECT_TRUE(reflector_->WaitForSync(absl::Seconds(30)));
  EXPECT_EQ(names_.size(), kLargeObjects);
}

TEST_F(ReflectorTest, GoesOnFromTheLastBookmarkWithoutListing) {
  Start();
  ASSERT_TRUE(reflector_->WaitForSync(absl::Seconds(10)));
  transport_.Put("/api/v1/namespaces/ns/configmaps/other", JsonObject());  // newer than the list
  transport_.SendBookmark();
  transport_.EndWatches();
  ASSERT_TRUE(transport_.WaitForRequests(std::string(kWatchOn) + "101", 1));
  transport_.Put(PathOf("a"), JsonObject());
  EXPECT_TRUE(WaitForNames({"a"}));
  EXPECT_EQ(transport_.CountRequests(kWatchList), 1);
}

TEST_F(ReflectorTest, MissesNothingThatHappensBetweenTwoWatches) {
  Start();
  ASSERT_TRUE(reflector_->WaitForSync(absl::Seconds(10)));
  transport_.FailNext(kWatchOn, 1, absl::UnavailableError("connection reset"));
  transport_.EndWatches();
  transport_.Put(PathOf("a"), JsonObject());
  transport_.Remove(PathOf("a"));
  transport_.Put(PathOf("b"), JsonObject());
  EXPECT_TRUE(WaitForNames({"b"}));
}

TEST_F(ReflectorTest, ListsAgainWhenTheServerHasForgotten) {
  transport_.Put(PathOf("a"), JsonObject());
  Start();
  ASSERT_TRUE(WaitForNames({"a"}));
  transport_.Hang(kWatchOn);
  transport_.EndWatches();
  ASSERT_TRUE(transport_.WaitForRequests(kWatchOn, 1));
  transport_.Remove(PathOf("a"));
  transport_.Put(PathOf("b"), JsonObject());
  transport_.ForgetHistory();
  transport_.Release();
  EXPECT_TRUE(WaitForNames({"b"}));
  EXPECT_EQ(transport_.CountRequests(kWatchList), 2);
}

TEST_F(ReflectorTest, TellsOfAFailureAndOfItsEnd) {
  transport_.FailNext(kWatchList, 1, absl::UnavailableError("no route"));
  Start();
  EXPECT_TRUE(WaitFor([&] { return absl::IsUnavailable(state_); }));
  EXPECT_TRUE(WaitFor([&] { return state_.ok(); }));
}

TEST_F(ReflectorTest, AWatchThatGoesOnAfterAFailureIsWellAgain) {
  Start();
  ASSERT_TRUE(WaitFor([&] { return state_.ok(); }));
  transport_.FailNext(kWatchOn, 1, absl::UnavailableError("connection reset"));
  transport_.EndWatches();
  ASSERT_TRUE(WaitFor([&] { return absl::IsUnavailable(state_); }));
  transport_.Put(PathOf("a"), JsonObject());
  EXPECT_TRUE(WaitFor([&] { return state_.ok(); }));
  EXPECT_EQ(transport_.CountRequests(kWatchList), 1);
}

// Load balancers do that to connections that are idle for half a minute.
TEST_F(ReflectorTest, AWatchThatIsCutHasEndedAndNotFailed) {
  Start();
  ASSERT_TRUE(WaitFor([&] { return state_.ok(); }));
  transport_.FailNext(kWatchOn, 2, absl::AbortedError("the connection broke"));
  transport_.EndWatches();
  ASSERT_TRUE(transport_.WaitForRequests(kWatchOn, 3));
  transport_.Put(PathOf("a"), JsonObject());
  EXPECT_TRUE(WaitForNames({"a"}));
  EXPECT_EQ(transport_.CountRequests(kWatchList), 1);
  std::lock_guard lock(mu_);
  EXPECT_EQ(failures_, 0);
}

TEST_F(ReflectorTest, AListAsEventsThatIsCutHasFailed) {
  transport_.FailNext(kWatchList, 1, absl::AbortedError("the connection broke"));
  Start();
  EXPECT_TRUE(WaitFor([&] { return absl::IsAborted(state_); }));
  EXPECT_TRUE(WaitFor([&] { return state_.ok(); }));
  EXPECT_EQ(transport_.CountRequests(kList), 0);
}

TEST_F(ReflectorTest, AWatchThatComesToItsEndAfterAFailureIsWellAgain) {
  Start();
  ASSERT_TRUE(WaitFor([&] { return state_.ok(); }));
  transport_.FailNext(kWatchOn, 1, absl::UnavailableError("no route"));
  transport_.EndWatches();
  ASSERT_TRUE(transport_.WaitForRequests(kWatchOn, 2));
  EXPECT_FALSE(WaitFor([&] { return state_.ok(); }, std::chrono::milliseconds(1100)));
  transport_.EndWatches();
  EXPECT_TRUE(WaitFor([&] { return state_.ok(); }));
}

TEST_F(ReflectorTest, ARightThatComesBackIsNoticedByANewList) {
  Start();
  ASSERT_TRUE(WaitFor([&] { return state_.ok(); }));
  transport_.FailNext(kWatchOn, 1, 403);
  transport_.EndWatches();
  ASSERT_TRUE(WaitFor([&] { return absl::IsPermissionDenied(state_); }));
  EXPECT_TRUE(WaitFor([&] { return state_.ok(); }));
}

TEST_F(ReflectorTest, StopsOutOfASilentWatch) {
  Start();
  ASSERT_TRUE(reflector_->WaitForSync(absl::Seconds(10)));
  const auto begin = std::chrono::steady_clock::now();
  reflector_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

TEST_F(ReflectorTest, StopsOutOfItsBackOff) {
  transport_.FailNext("GET", 1000, absl::UnavailableError("no route"));
  Start();
  ASSERT_TRUE(transport_.WaitForRequests("GET", 2));
  const auto begin = std::chrono::steady_clock::now();
  reflector_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

TEST_F(ReflectorTest, DoesNotHammerAServerThatEndsWatchesAtOnce) {
  Start();
  ASSERT_TRUE(reflector_->WaitForSync(absl::Seconds(10)));
  transport_.Respond(kWatchOn, [](const HttpRequest&) {
    HttpResponse response;
    response.status = 200;
    return response;
  });
  transport_.EndWatches();
  EXPECT_FALSE(transport_.WaitForRequests(kWatchOn, 8, absl::Seconds(2)));
}

TEST_F(ReflectorTest, NorOneWhoseWatchesAreCutAtOnce) {
  Start();
  ASSERT_TRUE(reflector_->WaitForSync(absl::Seconds(10)));
  transport_.FailNext(kWatchOn, 1000, absl::AbortedError("the connection broke"));
  transport_.EndWatches();
  EXPECT_FALSE(transport_.WaitForRequests(kWatchOn, 8, absl::Seconds(2)));
}

}  // namespace
}  // namespace k8s
