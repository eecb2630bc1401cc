#include "k8s/core/object.h"

#include <absl/strings/str_cat.h>

namespace k8s {

std::string ToString(const ObjectKey& key) {
  return key.namespace_name.empty() ? key.name : absl::StrCat(key.namespace_name, "/", key.name);
}

ObjectMeta ParseObjectMeta(const Json& object) {
  ObjectMeta meta;
  const Json* metadata = Find(object, {"metadata"});
  if (metadata == nullptr) return meta;
  meta.namespace_name = StringAt(*metadata, {"namespace"});
  meta.name = StringAt(*metadata, {"name"});
  meta.uid = StringAt(*metadata, {"uid"});
  meta.resource_version = StringAt(*metadata, {"resourceVersion"});
  meta.generation = IntAt(*metadata, {"generation"});
  meta.created_at = TimeAt(*metadata, {"creationTimestamp"});
  meta.being_deleted = !StringAt(*metadata, {"deletionTimestamp"}).empty();
  meta.labels = StringMapAt(*metadata, {"labels"});
  meta.annotations = StringMapAt(*metadata, {"annotations"});
  for (const Json& owner : ArrayAt(*metadata, {"ownerReferences"})) {
    meta.owners.push_back({.api_version = StringAt(owner, {"apiVersion"}),
                           .kind = StringAt(owner, {"kind"}),
                           .name = StringAt(owner, {"name"}),
                           .uid = StringAt(owner, {"uid"}),
                           .controller = BoolAt(owner, {"controller"})});
  }
  return meta;
}

ObjectKey KeyOf(const Json& object) {
  return {StringAt(object, {"metadata", "namespace"}), StringAt(object, {"metadata", "name"})};
}

}  // namespace k8s
