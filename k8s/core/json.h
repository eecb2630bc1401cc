#ifndef K8S_CORE_JSON_H_
#define K8S_CORE_JSON_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace k8s {

using Json = boost::json::value;
using JsonObject = boost::json::object;
using JsonArray = boost::json::array;

// The keys that lead from an object to a field of it: {"metadata", "name"}.
using JsonPath = std::initializer_list<std::string_view>;

// Parses one JSON text. At most 64 levels deep, and while it is parsed 12 times the text's bytes, or 16 MiB if that is
// more; the result may be there twice for a moment. Error: INVALID_ARGUMENT with the position, without the text.
absl::StatusOr<Json> ParseJson(std::string_view text);

// The field at `path`, or nullptr when a step is missing or no object.
const Json* Find(const Json& json, JsonPath path);

// The field at `path`, or the empty value when it is missing or of another type: for fields that the API server has
// validated, or whose absence means the same as empty.
std::string StringAt(const Json& json, JsonPath path);
int64_t IntAt(const Json& json, JsonPath path);
bool BoolAt(const Json& json, JsonPath path);
std::vector<std::string> StringsAt(const Json& json, JsonPath path);
std::map<std::string, std::string> StringMapAt(const Json& json, JsonPath path);
const JsonArray& ArrayAt(const Json& json, JsonPath path);  // refers into `json`, or to a static empty array

// RFC 3339, as metav1.Time: "2026-01-02T03:04:05Z". A missing or malformed field is absl::InfinitePast().
absl::Time TimeAt(const Json& json, JsonPath path);
std::string ToRfc3339(absl::Time time);  // whole seconds, UTC

// `text` cut to `size` bytes, or up to three less: half a character would not be JSON.
std::string CutUtf8(const std::string& text, size_t size);

JsonArray ToJsonArray(const std::vector<std::string>& strings);
JsonObject ToJsonObject(const std::map<std::string, std::string>& strings);

}  // namespace k8s

#endif  // K8S_CORE_JSON_H_
