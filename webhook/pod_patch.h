#ifndef WEBHOOK_POD_PATCH_H_
#define WEBHOOK_POD_PATCH_H_

#include <absl/status/status.h>

#include <map>
#include <string>
#include <vector>

#include "k8s/core/json.h"

namespace webhook {

// Builds the JSON patch (RFC 6902) that gives a pod what it lacks, and nothing else: what is already there in the same
// shape stays, so that a patched pod gets an empty patch; what is there in another shape under a name of ours is an
// error. Defaults that the API server has filled in meanwhile count as the same shape.
//
// Refers to `pod`, which must outlive it.
class PodPatch {
 public:
  explicit PodPatch(const k8s::Json& pod);

  // A container of the pod, as a place to put things.
  struct Container {
    std::string name;
    std::string path;  // JSON pointer
    const k8s::Json* json;
    bool init = false;
  };
  // Those of `containers` and `initContainers`, never ephemeral ones.
  const std::vector<Container>& containers() const { return containers_; }

  // INVALID_ARGUMENT of each: who has taken the name, path or variable, and what to do.

  absl::Status EnsureVolume(k8s::JsonObject volume);
  // Also refuses a mount of the user's below ours: it would lie over a part of the credential.
  absl::Status EnsureMount(const Container& container, k8s::JsonObject mount);
  // `annotation` is what asks for the variable: the error names it.
  absl::Status EnsureVariable(const Container& container, const std::string& name, const std::string& value,
                              const std::string& annotation);
  // As the two above, but what leads to the local cluster gives way: the volume mount of the ServiceAccount plugin, and
  // any value of the variable.
  absl::Status ReplaceTokenMount(const Container& container, k8s::JsonObject mount);
  void ReplaceVariable(const Container& container, const std::string& name, const std::string& value);
  // Puts the container before all init containers, in case it is not among them.
  absl::Status EnsureFirstInitContainer(k8s::JsonObject container);
  void EnsureLabel(const std::string& name, const std::string& value);

  k8s::JsonArray Build() &&;

 private:
  // Appends to the list at `path`, which is made when it is not there.
  void Append(const std::string& path, const k8s::Json* list, k8s::Json value);
  void AddOperation(const char* op, const std::string& path, k8s::Json value);

  const k8s::Json& pod_;
  std::vector<Container> containers_;
  k8s::JsonArray operations_;
  std::map<std::string, k8s::JsonArray> new_lists_;  // path to content, of lists that the pod does not have
  k8s::JsonArray last_operations_;                   // shift indexes, so they come after all others
};

}  // namespace webhook

#endif  // WEBHOOK_POD_PATCH_H_
