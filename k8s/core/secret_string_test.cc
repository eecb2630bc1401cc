#include "k8s/core/secret_string.h"

#include <gtest/gtest.h>

#include <concepts>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

namespace k8s {
namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};

TEST(SecretStringTest, CannotBePrintedOrConverted) {
  static_assert(!Streamable<SecretString>);
  static_assert(!std::is_convertible_v<SecretString, std::string>);
  static_assert(!std::is_convertible_v<SecretString, std::string_view>);
  static_assert(!std::is_convertible_v<std::string, SecretString>);
}

TEST(SecretStringTest, ComparesByContent) {
  EXPECT_TRUE(SecretString("abc") == SecretString("abc"));
  EXPECT_FALSE(SecretString("abc") == SecretString("abd"));
  EXPECT_FALSE(SecretString("abc") == SecretString("abcd"));
}

TEST(SecretStringTest, AMoveLeavesNothingBehind) {
  SecretString from("short");  // short enough to lie inside the object
  const char* inside = from.Reveal().data();
  const SecretString to = std::move(from);
  EXPECT_EQ(to.Reveal(), "short");
  EXPECT_EQ(std::string(inside, 5), std::string(5, '\0'));
}

}  // namespace
}  // namespace k8s
