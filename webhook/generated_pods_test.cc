// Properties of InjectPod over thousands of generated pods.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "k8s/core/names.h"
#include "webhook/import.h"
#include "webhook/inject_pod.h"
#include "webhook/pod_request.h"
#include "webhook/test_patch.h"

namespace webhook {
namespace {

using k8s::Json;
using k8s::JsonArray;
using k8s::JsonObject;

constexpr int kPods = 5000;

// Draws pods: any lists missing, null, empty or filled, fields that we do not know at every level.
class Generator {
 public:
  explicit Generator(uint64_t seed) : rng_(seed) {}

  Json Pod() {
    JsonObject spec = Unknown();
    spec["containers"] = Containers("c", 1 + Draw(3));
    MaybeList(spec, "initContainers", [&] { return Containers("i", Draw(3)); });
    MaybeList(spec, "ephemeralContainers", [&] { return Containers("e", Draw(2)); });
    MaybeList(spec, "volumes", [&] {
      JsonArray volumes;
      for (int i = Draw(3); i > 0; --i) {
        JsonObject volume = Unknown();
        volume["name"] = "v" + std::to_string(i);
        volumes.push_back(std::move(volume));
      }
      return volumes;
    });
    JsonObject metadata = Unknown();
    if (Draw(2) == 0) metadata["labels"] = Draw(2) == 0 ? JsonObject() : JsonObject{{"a/b~c", "d"}};
    metadata["annotations"] = Annotations();
    JsonObject pod = Unknown();
    pod["metadata"] = std::move(metadata);
    pod["spec"] = std::move(spec);
    return pod;
  }

 private:
  int Draw(int below) { return static_cast<int>(rng_() % below); }

  JsonObject Unknown() {
    JsonObject object;
    for (int i = Draw(3); i > 0; --i) {
      object["unknown" + std::to_string(Draw(9))] =
          Draw(2) == 0 ? Json(1.5) : Json(JsonArray{nullptr, JsonObject{{"x", true}}});
    }
    return object;
  }

  template <typename Make>
  void MaybeList(JsonObject& parent, const char* key, Make make) {
    const int kind = Draw(4);
    if (kind == 0) parent[key] = nullptr;
    if (kind >= 2) parent[key] = make();
  }

  JsonArray Containers(const std::string& prefix, int count) {
    JsonArray containers;
    for (int i = 0; i < count; ++i) {
      JsonObject container = Unknown();
      container["name"] = prefix + std::to_string(i);
      MaybeList(container, "volumeMounts", [&] {
        JsonArray mounts;
        if (Draw(2) == 0) {
          mounts.push_back(JsonObject{{"name", "kube-api-access-1"},
                                      {"mountPath", "/var/run/secrets/kubernetes.io/serviceaccount"}});
        }
        if (Draw(2) == 0) mounts.push_back(JsonObject{{"name", "v1"}, {"mountPath", "/data"}, {"future", 1}});
        return mounts;
      });
      MaybeList(container, "env", [&] {
        JsonArray env;
        if (Draw(2) == 0) env.push_back(JsonObject{{"name", "KUBERNETES_SERVICE_HOST"}, {"value", "local"}});
        if (Draw(2) == 0) env.push_back(JsonObject{{"name", "X"}, {"valueFrom", Unknown()}});
        return env;
      });
      containers.push_back(std::move(container));
    }
    return containers;
  }

  JsonObject Annotations() {
    const bool one = Draw(2) == 0;
    JsonObject annotations{{k8s::kImportNameKey, one ? "a.b" : "a.b, c ,d"}};
    const int door = Draw(one ? 4 : 3);
    if (door == 1) annotations[k8s::kClientKey] = "files";
    if (door == 2) annotations[k8s::kClientKey] = "kubeconfig";
    if (door == 3) annotations[k8s::kClientKey] = "in-cluster";
    if (Draw(3) == 0) annotations[k8s::kContainersKey] = "c0";
    if (Draw(2) == 0) annotations[k8s::kSidecarKey] = "enabled";
    return annotations;
  }

  std::mt19937_64 rng_;
};

absl::StatusOr<Injection> Inject(const Json& pod) {
  const auto request = ParsePodRequest(k8s::StringMapAt(pod, {"metadata", "annotations"}));
  if (!request.ok()) return request.status();
  std::vector<Import> imports;
  for (const std::string& name : request->imports)
    imports.push_back({.name = name, .uid = name, .server = "https://h:1"});
  return InjectPod(pod, *request, imports, "image");
}

TEST(GeneratedPodsTest, InjectingTwiceIsInjectingOnce) {
  Generator generator(/*seed=*/1);
  for (int i = 0; i < kPods; ++i) {
    Json pod = generator.Pod();
    const auto once = Inject(pod);
    ASSERT_TRUE(once.ok()) << once.status() << boost::json::serialize(pod);
    ASSERT_FALSE(once->patch.empty());
    ApplyPatch(pod, once->patch);
    const auto twice = Inject(pod);
    ASSERT_TRUE(twice.ok()) << twice.status() << boost::json::serialize(pod);
    ASSERT_TRUE(twice->patch.empty()) << boost::json::serialize(twice->patch);
  }
}

// Whether everything of `before` is in `after`: objects by key, lists in order with others in between.
bool Keeps(const Json& after, const Json& before) {
  if (before.is_null()) return true;  // the same as absent
  if (before.is_object() && after.is_object()) {
    for (const auto& [key, value] : before.get_object()) {
      const Json* found = after.get_object().if_contains(key);
      if (!value.is_null() && (found == nullptr || !Keeps(*found, value))) return false;
    }
    return true;
  }
  if (before.is_array() && after.is_array()) {
    auto at = after.get_array().begin();
    for (const Json& item : before.get_array()) {
      while (at != after.get_array().end() && !Keeps(*at, item)) ++at;
      if (at == after.get_array().end()) return false;
      ++at;
    }
    return true;
  }
  return before == after;
}

void Drop(Json& container, const char* list, const char* key, std::string_view value) {
  Json* items = container.as_object().if_contains(list);
  if (items == nullptr || !items->is_array()) return;
  JsonArray others;
  for (const Json& item : items->get_array()) {
    if (k8s::StringAt(item, {key}) != value) others.push_back(item);
  }
  *items = std::move(others);
}

// `pod` without what the in-cluster door replaces.
Json WithoutLocalCluster(Json pod) {
  for (const char* list : {"containers", "initContainers"}) {
    Json* containers = pod.at("spec").as_object().if_contains(list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (Json& container : containers->get_array()) {
      Drop(container, "volumeMounts", "mountPath", "/var/run/secrets/kubernetes.io/serviceaccount");
      Drop(container, "env", "name", "KUBERNETES_SERVICE_HOST");
    }
  }
  return pod;
}

TEST(GeneratedPodsTest, NothingIsLostButTheLocalClusterBehindTheInClusterDoor) {
  Generator generator(/*seed=*/2);
  for (int i = 0; i < kPods; ++i) {
    const Json pod = generator.Pod();
    const bool in_cluster = k8s::StringAt(pod, {"metadata", "annotations", k8s::kClientKey}) == "in-cluster";
    Json after = pod;
    const JsonArray patch = Inject(pod)->patch;
    ApplyPatch(after, patch);
    for (const Json& operation : patch) {
      if (in_cluster && operation.at("op").as_string() == "replace") continue;
      ASSERT_EQ(operation.at("op").as_string(), "add");
    }
    ASSERT_TRUE(Keeps(after, in_cluster ? WithoutLocalCluster(pod) : pod))
        << boost::json::serialize(pod) << boost::json::serialize(after);
  }
}

TEST(GeneratedPodsTest, EveryChosenContainerSeesEveryImport) {
  Generator generator(/*seed=*/3);
  for (int i = 0; i < kPods; ++i) {
    Json pod = generator.Pod();
    ApplyPatch(pod, Inject(pod)->patch);
    const auto request = ParsePodRequest(k8s::StringMapAt(pod, {"metadata", "annotations"})).value();
    std::set<std::string> volumes;
    for (const Json& volume : k8s::ArrayAt(pod, {"spec", "volumes"})) {
      ASSERT_TRUE(volumes.insert(k8s::StringAt(volume, {"name"})).second) << "a volume twice";
    }
    for (const char* list : {"containers", "initContainers"}) {
      for (const Json& container : k8s::ArrayAt(pod, {"spec", list})) {
        const std::string name = k8s::StringAt(container, {"name"});
        if (!request.containers.empty() && name != "c0") continue;
        std::set<std::string> paths;
        for (const Json& mount : k8s::ArrayAt(container, {"volumeMounts"})) {
          ASSERT_TRUE(paths.insert(k8s::StringAt(mount, {"mountPath"})).second) << "two mounts of one path";
          const std::string volume = k8s::StringAt(mount, {"name"});
          ASSERT_TRUE(volumes.contains(volume) || !volume.starts_with("mcsa")) << volume;
        }
        for (const std::string& import : request.imports) {
          ASSERT_TRUE(paths.contains(std::string(k8s::kImportsDirectory) + "/" + import)) << name;
        }
      }
    }
    for (const Json& container : k8s::ArrayAt(pod, {"spec", "ephemeralContainers"})) {
      ASSERT_EQ(boost::json::serialize(container).find("mcsa"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace webhook
