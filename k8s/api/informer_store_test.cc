#include "k8s/api/informer_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace k8s {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pointee;

std::shared_ptr<const std::string> Text(const std::string& text) {
  return std::make_shared<const std::string>(text);
}

InformerStore<std::string> ByFirstLetter() {
  return InformerStore<std::string>([](const std::string& text) { return std::vector{text.substr(0, 1)}; });
}

TEST(InformerStoreTest, ListsOneNamespaceAlone) {
  InformerStore<std::string> store;
  store.Set({"a", "1"}, Text("in a"));
  store.Set({"ab", "1"}, Text("in ab"));
  EXPECT_THAT(store.List("a"), ElementsAre(Pointee(std::string("in a"))));
  EXPECT_EQ(store.List().size(), 2u);
}

TEST(InformerStoreTest, SetAndEraseReturnWhatWasThere) {
  InformerStore<std::string> store;
  EXPECT_EQ(store.Set({"ns", "x"}, Text("one")), nullptr);
  EXPECT_THAT(store.Set({"ns", "x"}, Text("two")), Pointee(std::string("one")));
  EXPECT_THAT(store.Erase({"ns", "x"}), Pointee(std::string("two")));
  EXPECT_EQ(store.Erase({"ns", "x"}), nullptr);
}

TEST(InformerStoreTest, WhatAReaderHoldsStaysWhenTheStoreForgetsIt) {
  InformerStore<std::string> store;
  store.Set({"ns", "x"}, Text("kept"));
  const auto held = store.Get({"ns", "x"});
  store.Erase({"ns", "x"});
  EXPECT_THAT(held, Pointee(std::string("kept")));
}

TEST(InformerStoreTest, TheIndexFindsByValue) {
  auto store = ByFirstLetter();
  store.Set({"ns", "1"}, Text("apple"));
  store.Set({"ns", "2"}, Text("avocado"));
  store.Set({"ns", "3"}, Text("plum"));
  EXPECT_THAT(store.KeysBy("a"), ElementsAre(ObjectKey{"ns", "1"}, ObjectKey{"ns", "2"}));
}

TEST(InformerStoreTest, TheIndexFollowsChangesAndDeletions) {
  auto store = ByFirstLetter();
  store.Set({"ns", "1"}, Text("apple"));
  store.Set({"ns", "1"}, Text("plum"));
  EXPECT_THAT(store.KeysBy("a"), IsEmpty());
  store.Erase({"ns", "1"});
  EXPECT_THAT(store.KeysBy("p"), IsEmpty());
}

TEST(InformerStoreTest, ReadersAndAWriterNeverCollide) {
  auto store = ByFirstLetter();
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        for (const auto& text : store.List("ns")) EXPECT_FALSE(text->empty());
        for (const ObjectKey& key : store.KeysBy("1")) store.Get(key);
        store.Keys();
      }
    });
  }
  for (int i = 0; i < 3000; ++i) {
    const ObjectKey key{"ns", std::to_string(i % 17)};
    store.Set(key, Text(std::to_string(i)));
    if (i % 5 == 0) store.Erase(key);
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace k8s
