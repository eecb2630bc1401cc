#include "k8s/api/client.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/fakes/fake_transport.h"

namespace k8s {
namespace {

using ::testing::ElementsAre;

constexpr char kSecretA[] = "/api/v1/namespaces/ns/secrets/a";

class Never final : public StreamCanceller {
 public:
  bool Cancelled() const override { return false; }
};

class ClientTest : public testing::Test {
 protected:
  absl::Status WatchOnce(const std::string& body, std::vector<WatchEvent>& events) {
    transport_.Respond("GET /api/v1/secrets?watch", [body](const HttpRequest&) {
      HttpResponse response;
      response.status = 200;
      response.body = SecretString(body);
      return response;
    });
    return client_.Watch(kSecrets, "", {}, Never(), [&](WatchEvent event) {
      events.push_back(std::move(event));
      return true;
    });
  }

  FakeTransport transport_;
  Client client_{transport_};
};

TEST_F(ClientTest, JoinsThePagesOfAList) {
  for (const char* name : {"a", "b", "c"})
    transport_.Put(std::string("/api/v1/namespaces/ns/secrets/") + name, JsonObject());
  const absl::StatusOr<ObjectList> list = client_.List(kSecrets, "ns", {.page_size = 2});
  ASSERT_TRUE(list.ok()) << list.status();
  std::vector<std::string> names;
  for (const Json& item : list->items) names.push_back(KeyOf(item).name);
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
  EXPECT_EQ(transport_.CountRequests("GET /api/v1/namespaces/ns/secrets?"), 2);
}

TEST_F(ClientTest, BeginsAListAnewOnceWhenItsPageTokenExpires) {
  for (const char* name : {"a", "b", "c"})
    transport_.Put(std::string("/api/v1/namespaces/ns/secrets/") + name, JsonObject());
  transport_.FailNext("GET /api/v1/namespaces/ns/secrets?limit=2&continue", 1, 410);
  const absl::StatusOr<ObjectList> list = client_.List(kSecrets, "ns", {.page_size = 2});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->items.size(), 3);
}

TEST_F(ClientTest, AListWithoutEndEndsAtItsBounds) {
  std::string page;
  transport_.Respond("GET /api/v1/secrets", [&page](const HttpRequest&) {
    HttpResponse response;
    response.status = 200;
    response.body = SecretString(page);
    return response;
  });
  const std::string without_end = R"({"metadata": {"continue": "more"}, "items": [)";
  for (const std::string& items : {std::string(), '"' + std::string(16 << 20, 'x') + '"'}) {
    page = without_end + items + "]}";
    EXPECT_TRUE(absl::IsResourceExhausted(client_.List(kSecrets, "").status())) << items.size();
  }
}

// Whoever may write objects can make a page of them larger than anybody reads, and must not stop who lists them so.
TEST_F(ClientTest, ListsLargeObjectsInSmallerPages) {
  for (int i = 0; i < 30; ++i) {
    transport_.Put(absl::StrCat("/api/v1/namespaces/ns/secrets/", i),
                   JsonObject{{"data", JsonObject{{"padding", std::string(1 << 20, 'x')}}}});
  }
  const absl::StatusOr<ObjectList> list = client_.List(kSecrets, "ns");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->items.size(), 30);
}

TEST_F(ClientTest, ASingleObjectThatIsTooLargeFailsTheList) {
  transport_.Put(kSecretA, JsonObject{{"data", JsonObject{{"padding", std::string(9 << 20, 'x')}}}});
  EXPECT_TRUE(absl::IsResourceExhausted(client_.List(kSecrets, "ns").status()));
}

TEST_F(ClientTest, RefusesAnAnswerThatIsNoObject) {
  for (const char* body : {"[]", "null", "1", "\"text\""}) {
    transport_.Respond("GET /api/v1/secrets", [body](const HttpRequest&) {
      HttpResponse response;
      response.status = 200;
      response.body = SecretString(body);
      return response;
    });
    EXPECT_TRUE(absl::IsInvalidArgument(client_.List(kSecrets, "").status())) << body;
  }
}

TEST_F(ClientTest, NamesInPathsAreEscaped) {
  client_.Get(kSecrets, {"ns", "../b?c"}).status().IgnoreError();
  EXPECT_EQ(transport_.requests().back().path, "/api/v1/namespaces/ns/secrets/..%2Fb%3Fc");
}

TEST_F(ClientTest, AsksForTheMetadataOfAList) {
  transport_.Put(kSecretA, JsonObject{{"data", JsonObject{{"token", "secret"}}}});
  const absl::StatusOr<ObjectList> list = client_.List(kSecrets, "ns", {.metadata_only = true});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(Find(list->items.at(0), {"data"}), nullptr);
}

TEST_F(ClientTest, AnUpdateOfAnOldVersionIsAborted) {
  transport_.Put(kSecretA, JsonObject());
  absl::StatusOr<Json> old = client_.Get(kSecrets, {"ns", "a"});
  transport_.Put(kSecretA, JsonObject{{"type", "Opaque"}});
  EXPECT_TRUE(absl::IsAborted(client_.Update(kSecrets, *old).status()));
}

TEST_F(ClientTest, ReadModifyWriteTriesAgainWhenSomeoneWasFaster) {
  transport_.Put(kSecretA, JsonObject());
  transport_.FailNext("PUT", 2, 409);
  const auto written = client_.ReadModifyWrite(kSecrets, {"ns", "a"}, [](Json& object) {
    object.get_object()["type"] = "Opaque";
    return true;
  });
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(StringAt(*transport_.Find(kSecretA), {"type"}), "Opaque");
}

TEST_F(ClientTest, AnApplyToAnotherObjectOfTheSameNameFails) {
  transport_.Put(kSecretA, JsonObject());
  const Json object = JsonObject{{"metadata", JsonObject{{"name", "a"}, {"namespace", "ns"}, {"uid", "former"}}}};
  EXPECT_TRUE(absl::IsFailedPrecondition(client_.Apply(kSecrets, object, "test").status()));
}

TEST_F(ClientTest, ADryRunWritesNothing) {
  const Json object = JsonObject{{"metadata", JsonObject{{"name", "a"}, {"namespace", "ns"}}}};
  EXPECT_TRUE(client_.DryRunApply(kSecrets, object, "test").ok());
  EXPECT_EQ(transport_.Find(kSecretA), std::nullopt);
}

// Half of one would be no JSON: a condition that quotes it could not be written.
TEST_F(ClientTest, ALongRefusalIsCutBetweenCharacters) {
  const std::string text(1023, 'x');
  transport_.Respond("GET", [&](const HttpRequest&) {
    HttpResponse response;
    response.status = 403;
    response.body = SecretString(R"({"kind": "Status", "message": ")" + text + "\u00e9\"}");
    return response;
  });
  EXPECT_EQ(client_.Get(kSecrets, {"ns", "a"}).status().message(), text);
}

TEST_F(ClientTest, DeletingWhatIsGoneIsNoError) {
  EXPECT_TRUE(client_.Delete(kSecrets, {"ns", "a"}).ok());
}

TEST_F(ClientTest, DeletesOnlyTheObjectOfThatUid) {
  transport_.Put(kSecretA, JsonObject());
  EXPECT_TRUE(absl::IsAborted(client_.Delete(kSecrets, {"ns", "a"}, "former")));
  EXPECT_TRUE(transport_.Find(kSecretA).has_value());
}

TEST_F(ClientTest, AWatchTellsWhenHistoryIsForgotten) {
  std::vector<WatchEvent> events;
  EXPECT_TRUE(
      absl::IsOutOfRange(WatchOnce(R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})"
                                   "\n",
                                   events)));
}

TEST_F(ClientTest, AWatchWithoutNewlinesEndsAtItsBound) {
  std::vector<WatchEvent> events;
  EXPECT_TRUE(absl::IsResourceExhausted(WatchOnce(std::string(5 << 20, 'x'), events)));
}

TEST_F(ClientTest, AMalformedEventEndsTheWatchAfterThoseBefore) {
  std::vector<WatchEvent> events;
  EXPECT_TRUE(absl::IsInvalidArgument(WatchOnce(R"({"type":"ADDED","object":{}})"
                                                "\n"
                                                R"({"type":"ADDED","object":[]})"
                                                "\n{\n",
                                                events)));
  EXPECT_GE(events.size(), 1u);
}

}  // namespace
}  // namespace k8s
