#include "k8s/core/json.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <new>
#include <utility>

namespace k8s {
namespace {

// The API server's own limit for custom resources is 64 as well; deeper input is an attack on the parser's stack.
constexpr size_t kMaxDepth = 64;

// Of memory while a text is parsed. What API servers send takes 3 to 7 times its own bytes, "[0],[0]" 22 times.
constexpr size_t kMaxParsedBytes = 16 << 20;
constexpr size_t kMaxParsedBytesPerByte = 12;
// No shorter text takes kMaxParsedBytes: the worst is "0,0", of which each two bytes take at most 72.
constexpr size_t kSmallText = 256 << 10;

// Refuses to hold more than a limit. Not thread-safe.
class BoundedMemory final : public boost::json::memory_resource {
 public:
  explicit BoundedMemory(size_t limit) : left_(limit) {}

  bool refused() const { return refused_; }

 private:
  void* do_allocate(size_t bytes, size_t alignment) override {
    if (bytes > left_) {
      refused_ = true;
      throw std::bad_alloc();
    }
    void* const memory = heap_->allocate(bytes, alignment);
    left_ -= bytes;
    return memory;
  }
  void do_deallocate(void* memory, size_t bytes, size_t alignment) override {
    heap_->deallocate(memory, bytes, alignment);
    left_ += bytes;
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  const boost::json::storage_ptr heap_;
  size_t left_;
  bool refused_ = false;
};

// The result is held by `memory`, as is what the parser needs meanwhile.
absl::StatusOr<Json> Parse(std::string_view text, const boost::json::storage_ptr& memory) {
  boost::json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::json::stream_parser parser(memory, options);
  parser.reset(memory);
  boost::json::error_code error;
  const size_t read = parser.write(text.data(), text.size(), error);
  if (!error) parser.finish(error);
  // The text stays out of the message: it may hold a token.
  if (error) return absl::InvalidArgumentError(absl::StrCat("malformed JSON near byte ", read, ": ", error.message()));
  return parser.release();
}

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text) {
  if (text.size() <= kSmallText) return Parse(text, {});
  const size_t limit = std::max(kMaxParsedBytes, kMaxParsedBytesPerByte * text.size());
  BoundedMemory memory(limit);
  try {
    const absl::StatusOr<Json> json = Parse(text, &memory);
    if (!json.ok()) return json.status();
    return Json(*json, {});  // a copy, since `memory` ends here
  } catch (const std::bad_alloc&) {
    if (!memory.refused()) throw;
    return absl::InvalidArgumentError(
        absl::StrCat("JSON of ", text.size(), " bytes takes more than ", limit >> 20, " MiB of memory once parsed"));
  }
}

const Json* Find(const Json& json, JsonPath path) {
  const Json* at = &json;
  for (std::string_view key : path) {
    if (!at->is_object()) return nullptr;
    at = at->get_object().if_contains(key);
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::string StringAt(const Json& json, JsonPath path) {
  const Json* at = Find(json, path);
  return at != nullptr && at->is_string() ? std::string(at->get_string()) : std::string();
}

int64_t IntAt(const Json& json, JsonPath path) {
  const Json* at = Find(json, path);
  return at != nullptr && at->is_int64() ? at->get_int64() : 0;
}

bool BoolAt(const Json& json, JsonPath path) {
  const Json* at = Find(json, path);
  return at != nullptr && at->is_bool() && at->get_bool();
}

std::vector<std::string> StringsAt(const Json& json, JsonPath path) {
  std::vector<std::string> strings;
  for (const Json& item : ArrayAt(json, path)) {
    if (item.is_string()) strings.emplace_back(item.get_string());
  }
  return strings;
}

std::map<std::string, std::string> StringMapAt(const Json& json, JsonPath path) {
  std::map<std::string, std::string> strings;
  const Json* at = Find(json, path);
  if (at == nullptr || !at->is_object()) return strings;
  for (const auto& [key, value] : at->get_object()) {
    if (value.is_string()) strings.emplace(key, value.get_string());
  }
  return strings;
}

const JsonArray& ArrayAt(const Json& json, JsonPath path) {
  static const JsonArray* const kEmpty = new JsonArray();
  const Json* at = Find(json, path);
  return at != nullptr && at->is_array() ? at->get_array() : *kEmpty;
}

absl::Time TimeAt(const Json& json, JsonPath path) {
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, StringAt(json, path), &time, nullptr)) return absl::InfinitePast();
  return time;
}

std::string ToRfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string CutUtf8(const std::string& text, size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

JsonArray ToJsonArray(const std::vector<std::string>& strings) {
  JsonArray array;
  for (const std::string& string : strings) array.emplace_back(string);
  return array;
}

JsonObject ToJsonObject(const std::map<std::string, std::string>& strings) {
  JsonObject object;
  for (const auto& [key, value] : strings) object.emplace(key, value);
  return object;
}

}  // namespace k8s
