#include "webhook/inject_pod.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "k8s/core/names.h"
#include "webhook/import.h"
#include "webhook/pod_request.h"
#include "webhook/test_patch.h"

namespace webhook {
namespace {

using k8s::Json;
using k8s::JsonArray;
using k8s::JsonObject;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kSidecarImage[] = "registry.test/sidecar:1";

// A pod as the webhook gets it: with the mount of the ServiceAccount plugin.
Json Pod(std::map<std::string, std::string> annotations = {}) {
  annotations.emplace(k8s::kImportNameKey, "east");
  Json pod = k8s::ParseJson(R"({"metadata": {"generateName": "job-", "labels": {"app": "x"}},
      "spec": {"containers": [{"name": "app", "image": "i", "volumeMounts": [
                 {"name": "kube-api-access-abcde", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}]}],
               "volumes": [{"name": "kube-api-access-abcde", "projected": {"defaultMode": 420}}]}})")
                 .value();
  pod.at("metadata").as_object()["annotations"] = k8s::ToJsonObject(annotations);
  return pod;
}

Import Ready(const std::string& name) {
  return {.name = name, .uid = "uid-" + name, .server = "https://10.0.0.1:6443"};
}

// What the webhook does with a pod, given imports of all names that it asks for.
absl::StatusOr<Injection> Inject(const Json& pod, std::string not_ready = "",
                                 std::string server = "https://10.0.0.1:6443") {
  const auto request = ParsePodRequest(k8s::StringMapAt(pod, {"metadata", "annotations"}));
  if (!request.ok()) return request.status();
  std::vector<Import> imports;
  for (const std::string& name : request->imports) {
    imports.push_back(Ready(name));
    imports.back().not_ready = not_ready;
    imports.back().server = server;
  }
  return InjectPod(pod, *request, imports, kSidecarImage);
}

Json Injected(const Json& pod) {
  const auto injection = Inject(pod);
  EXPECT_TRUE(injection.ok()) << injection.status();
  Json result = pod;
  ApplyPatch(result, injection->patch);
  return result;
}

std::string ErrorOf(const Json& pod) {
  const auto injection = Inject(pod);
  return injection.ok() ? "admitted" : std::string(injection.status().message());
}

std::vector<std::string> MountPaths(const Json& container) {
  std::vector<std::string> paths;
  for (const Json& mount : k8s::ArrayAt(container, {"volumeMounts"}))
    paths.push_back(k8s::StringAt(mount, {"mountPath"}));
  return paths;
}

std::map<std::string, std::string> Variables(const Json& container) {
  std::map<std::string, std::string> variables;
  for (const Json& entry : k8s::ArrayAt(container, {"env"})) {
    variables[k8s::StringAt(entry, {"name"})] = k8s::StringAt(entry, {"value"});
  }
  return variables;
}

Json& App(Json& pod) {
  return pod.at("spec").at("containers").at(0);
}

TEST(InjectPodTest, MountsTheSecretReadOnlyUnderTheImportsName) {
  Json pod = Injected(Pod());
  const Json mount = App(pod).at("volumeMounts").at(1);
  EXPECT_EQ(k8s::StringAt(mount, {"mountPath"}), "/var/run/secrets/admiralty.io/serviceaccountimports/east");
  EXPECT_TRUE(k8s::BoolAt(mount, {"readOnly"}));
  const Json volume = pod.at("spec").at("volumes").at(1);
  EXPECT_EQ(volume.at("name"), mount.at("name"));
  EXPECT_THAT(k8s::StringAt(volume, {"secret", "secretName"}), testing::StartsWith("east-token-"));
  EXPECT_EQ(k8s::StringAt(pod, {"metadata", "labels", k8s::kInjectedLabel}), "true");
}

TEST(InjectPodTest, APodWithoutListsGetsThem) {
  Json pod = k8s::ParseJson(
                 R"({"metadata": {}, "spec": {"containers": [{"name": "a"}, {"name": "b", "volumeMounts": null}]}})")
                 .value();
  pod.at("metadata").as_object()["annotations"] =
      JsonObject{{k8s::kImportNameKey, "x,y"}, {k8s::kClientKey, "kubeconfig"}};
  pod = Injected(pod);
  EXPECT_THAT(pod.at("spec").at("volumes").as_array(), SizeIs(2));
  for (const Json& container : pod.at("spec").at("containers").as_array()) {
    EXPECT_THAT(MountPaths(container), SizeIs(2));
    EXPECT_EQ(Variables(container)["KUBECONFIG"],
              "/var/run/secrets/admiralty.io/serviceaccountimports/x/config:"
              "/var/run/secrets/admiralty.io/serviceaccountimports/y/config");
  }
}

TEST(InjectPodTest, InitContainersGetItAndEphemeralOnesDoNot) {
  Json pod = Pod();
  pod.at("spec").as_object()["initContainers"] = JsonArray{JsonObject{{"name", "init"}}};
  pod.at("spec").as_object()["ephemeralContainers"] = JsonArray{JsonObject{{"name", "debug"}}};
  pod = Injected(pod);
  EXPECT_THAT(MountPaths(pod.at("spec").at("initContainers").at(0)), SizeIs(1));
  EXPECT_THAT(MountPaths(pod.at("spec").at("ephemeralContainers").at(0)), IsEmpty());
}

TEST(InjectPodTest, OnlyTheListedContainersGetIt) {
  Json pod = Pod({{k8s::kContainersKey, " b , b,"}});
  pod.at("spec").at("containers").as_array().push_back(JsonObject{{"name", "b"}});
  pod = Injected(pod);
  EXPECT_THAT(MountPaths(App(pod)), SizeIs(1));
  EXPECT_THAT(MountPaths(pod.at("spec").at("containers").at(1)), SizeIs(1));
}

TEST(InjectPodTest, TheListIsTrimmedAndWithoutDuplicates) {
  EXPECT_THAT(MountPaths(App(*std::make_unique<Json>(Injected(Pod({{k8s::kImportNameKey, " a , a,, b "}}))))),
              SizeIs(3));
}

TEST(InjectPodTest, AnEmptyListChangesNothing) {
  for (const char* list : {"", " ", ",", " , ,"}) {
    const Json pod = Pod({{k8s::kImportNameKey, list}, {k8s::kClientKey, "nonsense"}});
    EXPECT_THAT(Inject(pod)->patch, IsEmpty()) << list;
  }
}

TEST(InjectPodTest, VolumeNamesAreDnsLabelsWhateverTheImportIsCalled) {
  for (const std::string& name : {std::string("a.b.c"), std::string(253, 'a'), std::string("x")}) {
    EXPECT_THAT(VolumeName(name), testing::MatchesRegex("mcsa-[0-9a-f]{10}"));
    Json pod = Injected(Pod({{k8s::kImportNameKey, name}}));
    EXPECT_THAT(MountPaths(App(pod)), Contains("/var/run/secrets/admiralty.io/serviceaccountimports/" + name));
  }
}

TEST(InjectPodTest, InClusterReplacesWhatLeadsToTheLocalCluster) {
  Json pod = Pod({{k8s::kClientKey, "in-cluster"}});
  App(pod).as_object()["env"] = JsonArray{JsonObject{{"name", "KUBERNETES_SERVICE_HOST"}, {"value", "10.96.0.1"}}};
  pod = Injected(pod);
  EXPECT_THAT(MountPaths(App(pod)), ElementsAre("/var/run/secrets/kubernetes.io/serviceaccount",
                                                "/var/run/secrets/admiralty.io/serviceaccountimports/east"));
  EXPECT_EQ(App(pod).at("volumeMounts").at(0).at("name"), Json(VolumeName("east")));
  EXPECT_THAT(Variables(App(pod)), ElementsAre(std::pair("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
                                               std::pair("KUBERNETES_SERVICE_PORT", "6443")));
  EXPECT_THAT(Inject(pod)->patch, IsEmpty());
}

TEST(InjectPodTest, InClusterTakesApartWhatHostAndPortCanExpress) {
  struct Case {
    const char* server;
    const char* host;
    const char* port;
  };
  for (const Case& test :
       {Case{"https://a.test", "a.test", "443"}, Case{"https://a.test:1/", "a.test", "1"},
        Case{"https://[fd00::1]:6443", "fd00::1", "6443"}, Case{"https://[fd00::1]", "fd00::1", "443"}}) {
    Json pod = Pod({{k8s::kClientKey, "in-cluster"}});
    ApplyPatch(pod, Inject(pod, "", test.server)->patch);
    EXPECT_EQ(Variables(App(pod))["KUBERNETES_SERVICE_HOST"], test.host);
    EXPECT_EQ(Variables(App(pod))["KUBERNETES_SERVICE_PORT"], test.port);
  }
  for (const char* server : {"https://proxy.test/k8s/clusters/c1", "http://a.test"}) {
    const absl::Status status = Inject(Pod({{k8s::kClientKey, "in-cluster"}}), "", server).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("to kubeconfig"));
  }
}

TEST(InjectPodTest, BadInputIsRefusedWithWhatToDo) {
  struct Case {
    const char* sentence;
    std::function<void(Json&)> spoil;
    const char* message;
  };
  const auto annotate = [](const char* key, std::string value) {
    return [key, value](Json& pod) { pod.at("metadata").at("annotations").as_object()[key] = value; };
  };
  const auto mount = [](const char* path) {
    return [path](Json& pod) {
      App(pod).at("volumeMounts").as_array().push_back(JsonObject{{"name", "mine"}, {"mountPath", path}});
    };
  };
  const Case cases[] = {
      {"a name with a space", annotate(k8s::kImportNameKey, "a b"), "lists \"a b\", which is no name"},
      {"a name that would leave the folder", annotate(k8s::kImportNameKey, "../x"), "which is no name"},
      {"more imports than allowed",
       [&](Json& pod) {
         std::string list;
         for (int i = 0; i < 33; ++i) list += "i" + std::to_string(i) + ",";
         annotate(k8s::kImportNameKey, list)(pod);
       },
       "lists 33 imports; a pod may have 32"},
      {"an unknown door", annotate(k8s::kClientKey, "grpc"), "files, kubeconfig or in-cluster"},
      {"an unknown container", annotate(k8s::kContainersKey, "app,web"),
       "lists \"web\", but the pod has the containers app"},
      {"a sidecar wish that is none", annotate(k8s::kSidecarKey, "true"), "enabled or disabled"},
      {"resources that are none", annotate(k8s::kSidecarResourcesKey, "{\"cpu\": 1}"),
       "resources of a container as JSON"},
      {"a log level that is none", annotate(k8s::kSidecarLogLevelKey, "loud"), "error, warn, info or debug"},
      {"several imports in one cluster's shape",
       [&](Json& pod) {
         annotate(k8s::kImportNameKey, "a,b")(pod);
         annotate(k8s::kClientKey, "in-cluster")(pod);
       },
       "lists 2 imports"},
      {"a volume of our name",
       [](Json& pod) {
         pod.at("spec").at("volumes").as_array().push_back(
             JsonObject{{"name", VolumeName("east")}, {"secret", JsonObject{{"secretName", "forged"}}}});
       },
       "kept for imports; rename it"},
      {"a container of our name", [](Json& pod) { App(pod).as_object()["name"] = "mcsa-sidecar"; },
       "kept for the sidecar"},
      {"a mount at our path", mount("/var/run/secrets/admiralty.io/serviceaccountimports/east/"), "mount it elsewhere"},
      {"a mount below our path", mount("/var/run/secrets/admiralty.io/serviceaccountimports/east/token"),
       "mount it elsewhere"},
      {"a mount in a roundabout way", mount("//var/run/./secrets/admiralty.io/x/../serviceaccountimports/east"),
       "mount it elsewhere"},
      {"a mount of the folder itself", mount("/var/run/secrets/admiralty.io/serviceaccountimports"),
       "mount it elsewhere"},
      {"a token mount of the user's, in-cluster",
       [&](Json& pod) {
         annotate(k8s::kClientKey, "in-cluster")(pod);
         App(pod).at("volumeMounts").at(0).as_object()["name"] = "mine";
       },
       "mounts volume mine at /var/run/secrets/kubernetes.io/serviceaccount"},
      {"a KUBECONFIG of the user's",
       [&](Json& pod) {
         annotate(k8s::kClientKey, "kubeconfig")(pod);
         App(pod).as_object()["env"] = JsonArray{JsonObject{{"name", "KUBECONFIG"}, {"value", "/mine"}}};
       },
       "sets KUBECONFIG itself"},
      {"a static pod", annotate("kubernetes.io/config.mirror", "x"), "static pod"},
  };
  for (const Case& test : cases) {
    Json pod = Pod();
    test.spoil(pod);
    EXPECT_THAT(ErrorOf(pod), HasSubstr(test.message)) << test.sentence;
  }
}

TEST(InjectPodTest, AMountBesideOursIsTheUsers) {
  for (const char* path :
       {"/var/run/secrets/admiralty.io/serviceaccountimports/east2", "/var/run/secrets/admiralty.io", "/data"}) {
    Json pod = Pod();
    App(pod).at("volumeMounts").as_array().push_back(JsonObject{{"name", "mine"}, {"mountPath", path}});
    EXPECT_THAT(MountPaths(*std::make_unique<Json>(App(*std::make_unique<Json>(Injected(pod))))), SizeIs(3)) << path;
  }
}

TEST(InjectPodTest, UserNamespacesChangeNothing) {
  for (bool host_users : {true, false}) {
    Json pod = Pod();
    pod.at("spec").as_object()["hostUsers"] = host_users;
    EXPECT_EQ(Inject(pod)->patch, Inject(Pod())->patch);
  }
}

TEST(InjectPodTest, AnImportThatIsNotReadyIsRefusedWithItsReason) {
  const auto injection = Inject(Pod(), "SourceUnreachable: cluster east does not answer");
  EXPECT_EQ(injection.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(injection.status().message()),
              HasSubstr("import east is not ready: SourceUnreachable: cluster east does not answer; see kubectl"));
}

TEST(InjectPodTest, AContainerAddedLaterGetsItsMounts) {
  Json pod = Injected(Pod({{k8s::kClientKey, "kubeconfig"}}));
  pod.at("spec").at("containers").as_array().push_back(JsonObject{{"name", "proxy"}});
  const auto again = Inject(pod);
  ASSERT_TRUE(again.ok());
  for (const Json& operation : again->patch)
    EXPECT_THAT(k8s::StringAt(operation, {"path"}), HasSubstr("/spec/containers/1"));
  ApplyPatch(pod, again->patch);
  EXPECT_EQ(Variables(pod.at("spec").at("containers").at(1)), Variables(App(pod)));
}

TEST(InjectPodTest, DefaultsThatTheApiServerFillsInAreNoChange) {
  Json pod = Injected(Pod());
  pod.at("spec").at("volumes").at(1).at("secret").as_object()["defaultMode"] = 420;
  EXPECT_THAT(Inject(pod)->patch, IsEmpty());
}

TEST(InjectPodTest, ASidecarOnTheNodesNetworkComesWithAWarning) {
  for (const auto& [sidecar, warnings] : {std::pair{"enabled", 1}, {"disabled", 0}}) {
    Json pod = Pod({{k8s::kImportNameKey, "a"}, {k8s::kSidecarKey, sidecar}});
    EXPECT_THAT(Inject(pod)->warnings, IsEmpty());
    pod.at("spec").as_object()["hostNetwork"] = true;
    EXPECT_THAT(Inject(pod)->warnings, SizeIs(warnings));
  }
}

TEST(InjectPodTest, SeveralKubeconfigsComeWithAWarning) {
  EXPECT_THAT(Inject(Pod({{k8s::kImportNameKey, "a,b"}, {k8s::kClientKey, "kubeconfig"}}))->warnings, SizeIs(1));
  EXPECT_THAT(Inject(Pod({{k8s::kImportNameKey, "a"}, {k8s::kClientKey, "kubeconfig"}}))->warnings, IsEmpty());
}

class SidecarTest : public testing::Test {
 protected:
  Json Pod(std::map<std::string, std::string> annotations = {}) {
    annotations.emplace(k8s::kSidecarKey, "enabled");
    Json pod = webhook::Pod(annotations);
    pod.at("spec").as_object()["initContainers"] = JsonArray{JsonObject{{"name", "init"}}};
    return pod;
  }
};

TEST_F(SidecarTest, ComesFirstAndHoldsBackTheOthers) {
  Json pod = Injected(Pod({{k8s::kImportNameKey, "east,west"}, {k8s::kSidecarLogLevelKey, "debug"}}));
  const Json sidecar = pod.at("spec").at("initContainers").at(0);
  EXPECT_EQ(k8s::StringAt(sidecar, {"name"}), "mcsa-sidecar");
  EXPECT_EQ(k8s::StringAt(sidecar, {"image"}), kSidecarImage);
  EXPECT_EQ(k8s::StringAt(sidecar, {"restartPolicy"}), "Always");
  EXPECT_THAT(k8s::StringsAt(sidecar, {"args"}),
              ElementsAre("run", "--import=east", "--import=west", "--log-level=debug"));
  EXPECT_THAT(k8s::StringsAt(sidecar, {"lifecycle", "postStart", "exec", "command"}),
              ElementsAre("/mcsa-sidecar", "wait"));
  EXPECT_EQ(k8s::StringAt(pod.at("spec").at("initContainers").at(1), {"name"}), "init");
  EXPECT_THAT(Inject(pod)->patch, IsEmpty());
}

TEST_F(SidecarTest, AppsSeeTheSamePathsAndNeverTheSecretOrTheBrokersToken) {
  Json pod = Injected(Pod({{k8s::kClientKey, "kubeconfig"}}));
  for (const Json& container : {pod.at("spec").at("initContainers").at(1), App(pod)}) {
    EXPECT_THAT(MountPaths(container),
                testing::IsSupersetOf({"/var/run/secrets/admiralty.io/serviceaccountimports/east",
                                       "/var/run/multicluster-service-account"}));
    for (const Json& mount : k8s::ArrayAt(container, {"volumeMounts"})) {
      EXPECT_THAT(k8s::StringAt(mount, {"name"}), testing::AnyOf("mcsa", "kube-api-access-abcde"));
      EXPECT_TRUE(k8s::BoolAt(mount, {"readOnly"}));
    }
    EXPECT_EQ(Variables(container)["MCSA_SOCKET"], "/var/run/multicluster-service-account/mcsa.sock");
    EXPECT_EQ(Variables(container)["KUBECONFIG"], "/var/run/multicluster-service-account/kubeconfig");
  }
}

TEST_F(SidecarTest, ItsOwnTokenLiesWhereThePluginWouldPutThePods) {
  Json pod = Injected(Pod());
  EXPECT_THAT(MountPaths(pod.at("spec").at("initContainers").at(0)),
              Contains("/var/run/secrets/kubernetes.io/serviceaccount"));
}

TEST_F(SidecarTest, AnImportThatIsNotReadyIsWaitedFor) {
  EXPECT_TRUE(Inject(Pod(), "the broker has not looked at it yet").ok());
  const absl::Status in_cluster = Inject(Pod({{k8s::kClientKey, "in-cluster"}}), "not yet", "").status();
  EXPECT_EQ(in_cluster.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SidecarTest, DeliveryBrokerNeedsIt) {
  Import import = Ready("east");
  import.in_secret = false;
  const Json pod = Pod();
  const PodRequest with{.imports = {"east"}, .sidecar = true};
  const PodRequest without{.imports = {"east"}};
  EXPECT_TRUE(InjectPod(pod, with, {import}, kSidecarImage).ok());
  EXPECT_THAT(std::string(InjectPod(pod, without, {import}, kSidecarImage).status().message()),
              HasSubstr("needs the sidecar"));
}

TEST_F(SidecarTest, WithoutAnImageItIsRefused) {
  EXPECT_THAT(
      std::string(InjectPod(Pod(), {.imports = {"east"}, .sidecar = true}, {Ready("east")}, "").status().message()),
      HasSubstr("--sidecar-image"));
}

TEST_F(SidecarTest, RunsAsItsImagesUserWhereThePodIsRoot) {
  Json pod = Pod();
  pod.at("spec").as_object()["securityContext"] = JsonObject{{"runAsUser", 0}};
  pod = Injected(pod);
  EXPECT_EQ(k8s::IntAt(pod.at("spec").at("initContainers").at(0), {"securityContext", "runAsUser"}), 65532);
}

TEST_F(SidecarTest, AnotherRegistryAndSpellingAreNoChange) {
  Json pod = Injected(Pod({{k8s::kSidecarResourcesKey, R"({"requests": {"cpu": "0.001"}})"}}));
  JsonObject& sidecar = pod.at("spec").at("initContainers").at(0).as_object();
  sidecar["image"] = "mirror.test/sidecar:1";
  sidecar["resources"].as_object()["requests"].as_object()["cpu"] = "1m";
  EXPECT_THAT(Inject(pod)->patch, IsEmpty());
}

TEST_F(SidecarTest, ItsResourcesAreThoseOfTheAnnotation) {
  const Json resources = *k8s::ParseJson(R"({"requests": {"cpu": "7m", "memory": "33Mi"}})");
  const Json pod = Injected(Pod({{k8s::kSidecarResourcesKey, boost::json::serialize(resources)}}));
  EXPECT_EQ(pod.at("spec").at("initContainers").at(0).at("resources"), resources);
}

TEST_F(SidecarTest, AnotherContainerOfItsNameIsRefused) {
  Json pod = Pod();
  pod.at("spec").at("initContainers").at(0).as_object()["name"] = "mcsa-sidecar";
  EXPECT_THAT(ErrorOf(pod), HasSubstr("kept for the sidecar; rename it"));
}

}  // namespace
}  // namespace webhook
