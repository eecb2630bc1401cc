#include "client/cpp/configs.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>
#include <vector>

#include "k8s/fakes/import_folder.h"

namespace mcsa {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

std::string Kubeconfig(const std::string& current) {
  return R"({"kind": "Config", "current-context": ")" + current + R"(", "clusters": [
  {"name": "c", "cluster": {"server": "https://kubeconfig.example"}}], "users": [{"name": "u", "user": {"token": "t"}}],
  "contexts": [{"name": "east", "context": {"cluster": "c", "user": "u", "namespace": "n"}},
               {"name": "west", "context": {"cluster": "c", "user": "u"}},
               {"name": "broken", "context": {"cluster": "absent"}}]})";
}

// A process with no imports, no kubeconfig, no HOME, outside a pod.
class ConfigsTest : public ::testing::Test {
 protected:
  ConfigsTest() {
    options_.imports_directory = folder_ / "imports";
    options_.environment.variables.clear();
  }

  void Mount(const std::string& name, const std::string& token = "token-1") {
    k8s::WriteAtomically(folder_ / "imports/" + name, k8s::ImportFiles(token, "https://" + name + ".example"));
  }
  void SetKubeconfig(const std::string& current) {
    k8s::WriteFile(folder_ / "config", Kubeconfig(current));
    options_.kubeconfig = folder_ / "config";
  }

  const k8s::TemporaryFolder folder_;
  ConfigOptions options_;
};

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

TEST_F(ConfigsTest, TheOnlyImportIsFound) {
  Mount("east");
  const absl::StatusOr<RemoteConfig> config = ServiceAccountImportConfigAndNamespace(options_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->name(), "east");
  EXPECT_EQ(*config->server(), "https://east.example");
  EXPECT_EQ(*config->ca_bundle(), "ca of token-1");
  EXPECT_EQ(*config->namespace_name(), "remote");
  EXPECT_EQ(config->token()->Reveal(), "token-1");
  EXPECT_EQ(config->Authorization()->Reveal(), "Bearer token-1");
}

TEST_F(ConfigsTest, SeveralImportsAreAnErrorThatListsThem) {
  Mount("east");
  Mount("west");
  SetKubeconfig("east");
  for (const absl::Status& status :
       {ServiceAccountImportConfigAndNamespace(options_).status(), ConfigAndNamespace(options_).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(Message(status), HasSubstr("east, west"));
  }
}

TEST_F(ConfigsTest, ImportThenKubeconfigThenPod) {
  options_.environment.variables = {{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}};
  // Outside a pod its files are missing; that they are asked for shows the order.
  EXPECT_THAT(Message(ConfigAndNamespace(options_).status()), HasSubstr("/kubernetes.io/serviceaccount/"));
  SetKubeconfig("west");
  EXPECT_EQ(ConfigAndNamespace(options_)->origin(), Origin::kKubeconfig);
  Mount("east");
  EXPECT_EQ(ConfigAndNamespace(options_)->origin(), Origin::kImport);
}

TEST_F(ConfigsTest, ABrokenImportIsNotPassedOver) {
  SetKubeconfig("west");
  k8s::WriteAtomically(folder_ / "imports/east", {{"server", "https://east.example"}, {"namespace", "n"}});
  EXPECT_TRUE(absl::IsUnauthenticated(ConfigAndNamespace(options_).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(NamedConfigAndNamespace("east", options_).status()));
}

TEST_F(ConfigsTest, WithoutAnythingTheErrorSaysWhereItLooked) {
  const absl::Status status = ConfigAndNamespace(options_).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(Message(status),
              AllOf(HasSubstr(options_.imports_directory), HasSubstr("KUBECONFIG and HOME are not set"),
                    HasSubstr("KUBERNETES_SERVICE_HOST")));
}

TEST_F(ConfigsTest, OfAnImportAndAContextOfOneNameTheImportWins) {
  Mount("east");
  SetKubeconfig("west");
  EXPECT_EQ(NamedConfigAndNamespace("east", options_)->origin(), Origin::kImport);
  EXPECT_EQ(NamedConfigAndNamespace("west", options_)->origin(), Origin::kKubeconfig);
  const NamedConfigs all = AllNamedConfigsAndNamespaces(options_);
  ASSERT_THAT(all.configs, UnorderedElementsAre(Key("east"), Key("west")));
  EXPECT_EQ(all.configs.at("east").origin(), Origin::kImport);
}

TEST_F(ConfigsTest, WhatCannotBeHadHidesNothingElse) {
  Mount("good");
  k8s::WriteAtomically(folder_ / "imports/east", {{"token", "canary"}});
  SetKubeconfig("west");
  const NamedConfigs all = AllNamedConfigsAndNamespaces(options_);
  EXPECT_THAT(all.configs, UnorderedElementsAre(Key("good"), Key("west")));
  // "east" is also a context, but whoever mounted the import meant that.
  EXPECT_THAT(all.errors, UnorderedElementsAre(Key("east"), Key("broken")));
}

TEST_F(ConfigsTest, UnknownNameIsLookedForInBothPlaces) {
  SetKubeconfig("west");
  const absl::Status status = NamedConfigAndNamespace("north", options_).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(Message(status), AllOf(HasSubstr("imports/north"), HasSubstr("it has: east, west")));
}

TEST_F(ConfigsTest, AMalformedKubeconfigIsNamed) {
  k8s::WriteFile(folder_ / "config", "- canary");
  options_.kubeconfig = folder_ / "config";
  EXPECT_THAT(Message(ConfigAndNamespace(options_).status()), HasSubstr(options_.kubeconfig));
  EXPECT_THAT(AllNamedConfigsAndNamespaces(options_).errors, UnorderedElementsAre(Key("kubeconfig")));
}

TEST_F(ConfigsTest, TheEnvironmentMayNameTheDirectory) {
  Mount("east");
  options_.environment.variables["MCSA_IMPORTS_DIRECTORY"] = options_.imports_directory;
  options_.imports_directory.clear();
  EXPECT_TRUE(ServiceAccountImportConfigAndNamespace(options_).ok());
}

TEST_F(ConfigsTest, TokenIsReadAgainOnceItIsReplaced) {
  Mount("east", "token-1");
  const RemoteConfig config = *ServiceAccountImportConfigAndNamespace(options_);
  const ConfigSnapshot before = *config.Current();
  EXPECT_EQ(*config.Current(), before) << "nothing changed, so nothing is read";
  Mount("east", "token-2");
  EXPECT_EQ(config.token()->Reveal(), "token-2");
  EXPECT_EQ(*config.ca_bundle(), "ca of token-2");
}

TEST_F(ConfigsTest, AWithdrawnTokenIsAnErrorAndOneThatComesBackIsNot) {
  Mount("east");
  const RemoteConfig config = *ServiceAccountImportConfigAndNamespace(options_);
  k8s::WriteAtomically(folder_ / "imports/east", {{"server", "https://east.example"}, {"namespace", "n"}});
  EXPECT_TRUE(absl::IsUnauthenticated(config.token().status()));
  Mount("east", "token-2");
  EXPECT_EQ(config.token()->Reveal(), "token-2");
}

TEST_F(ConfigsTest, AKubeconfigsTokenFileIsFollowed) {
  k8s::WriteFile(folder_ / "token", "token-1\n");
  k8s::WriteFile(folder_ / "config", R"({"current-context": "x", "clusters": [{"name": "c", "cluster": {"server":
    "https://e"}}], "users": [{"name": "u", "user": {"tokenFile": "token"}}], "contexts": [{"name": "x", "context":
    {"cluster": "c", "user": "u"}}]})");
  options_.kubeconfig = folder_ / "config";
  const RemoteConfig config = *ConfigAndNamespace(options_);
  EXPECT_EQ(config.token()->Reveal(), "token-1");
  k8s::WriteFile(folder_ / "token", "token-22\n");
  EXPECT_EQ(config.token()->Reveal(), "token-22");
}

TEST_F(ConfigsTest, ThreadsShareOneConfigWhileItIsReplaced) {
  Mount("east", "token-0");
  const RemoteConfig config = *ServiceAccountImportConfigAndNamespace(options_);
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const absl::StatusOr<ConfigSnapshot> current = config.Current();
        ASSERT_TRUE(current.ok()) << current.status();
        ASSERT_EQ((*current)->ca_data, "ca of " + std::string((*current)->token.Reveal()));
      }
    });
  }
  for (int i = 1; i <= 200; ++i) Mount("east", "token-" + std::to_string(i));
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(config.token()->Reveal(), "token-200");
}

}  // namespace
}  // namespace mcsa
