#ifndef WEBHOOK_TEST_PATCH_H_
#define WEBHOOK_TEST_PATCH_H_

#include <string>
#include <string_view>

#include "k8s/core/json.h"

namespace webhook {

// The test's side of RFC 6902: applies "add" and "replace" as an API server does. Throws std::exception where the API
// server would refuse: a missing parent, an index beyond the end, a replaced member that is not there.
inline void ApplyPatch(k8s::Json& document, const k8s::JsonArray& patch) {
  for (const k8s::Json& operation : patch) {
    const std::string path(operation.at("path").as_string());
    const bool replace = operation.at("op").as_string() == "replace";
    if (!replace && operation.at("op").as_string() != "add") throw std::invalid_argument("not additive");
    const size_t slash = path.rfind('/');
    k8s::Json& parent = document.at_pointer(path.substr(0, slash));
    std::string key = path.substr(slash + 1);
    for (size_t at = 0; (at = key.find("~1", at)) != std::string::npos;) key.replace(at, 2, "/");
    const k8s::Json& value = operation.at("value");
    if (parent.is_object()) {
      if (replace) parent.as_object().at(key);
      parent.as_object()[key] = value;
    } else if (key == "-") {
      parent.as_array().push_back(value);
    } else {
      k8s::JsonArray& list = parent.as_array();
      const size_t index = std::stoul(key);
      if (replace) {
        list.at(index) = value;
      } else {
        if (index > list.size()) throw std::out_of_range("beyond the end");
        list.insert(list.begin() + static_cast<std::ptrdiff_t>(index), value);
      }
    }
  }
}

}  // namespace webhook

#endif  // WEBHOOK_TEST_PATCH_H_
