#ifndef K8S_CORE_OBJECT_H_
#define K8S_CORE_OBJECT_H_

#include <absl/time/time.h>

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "k8s/core/json.h"

namespace k8s {

// Names one object of a kind. `namespace_name` is empty for cluster-scoped kinds.
struct ObjectKey {
  std::string namespace_name;
  std::string name;

  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

// "namespace/name", or "name" for a cluster-scoped object.
std::string ToString(const ObjectKey& key);

struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;

  friend bool operator==(const OwnerReference&, const OwnerReference&) = default;
};

// The part of metav1.ObjectMeta that we read.
struct ObjectMeta {
  std::string namespace_name;
  std::string name;
  std::string uid;
  std::string resource_version;
  int64_t generation = 0;
  absl::Time created_at = absl::InfinitePast();
  bool being_deleted = false;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::vector<OwnerReference> owners;

  ObjectKey key() const { return {namespace_name, name}; }
};

// Reads `metadata` of any object; what is missing stays empty.
ObjectMeta ParseObjectMeta(const Json& object);

// The key of any object, without the rest of its metadata.
ObjectKey KeyOf(const Json& object);

}  // namespace k8s

#endif  // K8S_CORE_OBJECT_H_
