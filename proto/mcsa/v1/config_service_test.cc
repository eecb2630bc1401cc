#include <gmock/gmock.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <ostream>
#include <type_traits>

#include "mcsa/v1/config_service.pb.h"

namespace mcsa::v1 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

template <typename T>
concept Printable = requires(const T& message, std::ostream& out) {
  out << message;
};

// Messages hold tokens, so nothing may print them. tools/grpc.bzl makes them lite, which have no text form, no
// reflection to make one by, and no operator<<; this notices when that ends.
TEST(ConfigServiceTest, MessagesHaveNoTextForm) {
  static_assert(!std::is_base_of_v<google::protobuf::Message, Config>);
  static_assert(!Printable<WatchConfigsResponse> && !Printable<Config>);
}

// MessageLite has functions of these names all the same.
TEST(ConfigServiceTest, DebugStringShowsNoToken) {
  WatchConfigsResponse response;
  response.add_imports()->mutable_config()->set_token("canary");
  EXPECT_THAT(response.DebugString(), Not(HasSubstr("canary")));
  EXPECT_THAT(response.imports(0).config().ShortDebugString(), Not(HasSubstr("canary")));
}

}  // namespace
}  // namespace mcsa::v1
