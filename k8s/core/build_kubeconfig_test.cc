#include "k8s/core/build_kubeconfig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/core/kubeconfig.h"

namespace k8s {
namespace {

using ::testing::ElementsAre;

TEST(BuildKubeconfigTest, HasAContextForEachEntryAndTheFirstIsCurrent) {
  const SecretString text = BuildKubeconfig({
      {.name = "east", .server = "https://e", .ca_bundle = "PEM", .namespace_name = "team-a", .token_file = "/t"},
      {.name = "west", .server = "https://w", .token = SecretString("canary")},
  });
  const auto kubeconfig = ParseKubeconfig(text.Reveal(), "/");
  ASSERT_TRUE(kubeconfig.ok()) << kubeconfig.status();
  EXPECT_EQ(kubeconfig->current_context, "east");
  const ClusterAccess& east = kubeconfig->contexts.at("east");
  EXPECT_EQ(east.server, "https://e");
  EXPECT_EQ(east.ca_data, "PEM");
  EXPECT_EQ(east.namespace_name, "team-a");
  EXPECT_EQ(east.token_file, "/t");
  EXPECT_TRUE(east.token.empty());
  EXPECT_EQ(kubeconfig->contexts.at("west").token, SecretString("canary"));
}

TEST(BuildKubeconfigTest, AnExecPluginGetsItsArguments) {
  const SecretString text =
      BuildKubeconfig({{.name = "east", .server = "https://e", .exec_command = "/bin/plugin", .exec_args = {"east"}}});
  const auto kubeconfig = ParseKubeconfig(text.Reveal(), "/");
  ASSERT_TRUE(kubeconfig.ok()) << kubeconfig.status();
  const std::optional<ExecPlugin>& exec = kubeconfig->contexts.at("east").exec;
  ASSERT_TRUE(exec.has_value());
  EXPECT_EQ(exec->api_version, "client.authentication.k8s.io/v1");
  EXPECT_EQ(exec->command, "/bin/plugin");
  EXPECT_THAT(exec->args, ElementsAre("east"));
}

}  // namespace
}  // namespace k8s
