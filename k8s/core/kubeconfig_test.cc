#include "k8s/core/kubeconfig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace k8s {
namespace {

using ::testing::HasSubstr;

constexpr char kTwoContexts[] = R"(
apiVersion: v1
kind: Config
current-context: east
clusters:
- {name: e, cluster: {server: "https://east:6443", certificate-authority: ca.pem, tls-server-name: api}}
users:
- name: me
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login, args: [a, b], env: [{name: K, value: V}]}
contexts:
- {name: east, context: {cluster: e, user: me, namespace: team-a}}
- {name: west, context: {cluster: w, user: me}}
)";

TEST(ParseKubeconfigTest, ResolvesAContext) {
  const auto kubeconfig = ParseKubeconfig(kTwoContexts, "/home/me/.kube");
  ASSERT_TRUE(kubeconfig.ok()) << kubeconfig.status();
  const auto access = SelectContext(*kubeconfig, "");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://east:6443");
  EXPECT_EQ(access->ca_file, "/home/me/.kube/ca.pem");
  EXPECT_EQ(access->tls_server_name, "api");
  EXPECT_EQ(access->namespace_name, "team-a");
  EXPECT_EQ(access->exec->command, "/home/me/.kube/./login");
}

TEST(ParseKubeconfigTest, ABrokenContextDoesNotHideTheOthers) {
  const auto kubeconfig = ParseKubeconfig(kTwoContexts, "/");
  EXPECT_TRUE(SelectContext(*kubeconfig, "east").ok());
  EXPECT_THAT(std::string(SelectContext(*kubeconfig, "west").status().message()),
              HasSubstr("there is no cluster \"w\""));
}

TEST(ParseKubeconfigTest, AnUnknownContextListsThoseThereAre) {
  const auto kubeconfig = ParseKubeconfig(kTwoContexts, "/");
  EXPECT_THAT(std::string(SelectContext(*kubeconfig, "north").status().message()), HasSubstr("it has: east"));
}

TEST(ParseKubeconfigTest, RefusesNonsenseWithoutRepeatingIt) {
  const std::string kInputs[] = {"canary", "- canary", "a: [canary", "kind: canary", std::string((1 << 20) + 1, 'x'),
                                 "*canary"};
  for (const std::string& text : kInputs) {
    const absl::Status status = ParseKubeconfig(text, "/").status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text.substr(0, 20);
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
  }
}

TEST(ParseKubeconfigTest, RefusesTwoOfOneName) {
  for (const std::string list : {"cluster", "user", "context"}) {
    const std::string item = "- {name: twice, " + list + ": {}}\n";
    const absl::Status status = ParseKubeconfig(list + "s:\n" + item + item, "/").status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("two " + list + "s named \"twice\""));
  }
}

TEST(ParseKubeconfigsTest, TheFirstFileWins) {
  const auto merged = ParseKubeconfigs({{.folder = "/first", .text = SecretString(kTwoContexts), .name = ""},
                                        {.folder = "/second", .text = SecretString(kTwoContexts), .name = ""}});
  EXPECT_EQ(merged->contexts.at("east").ca_file, "/first/ca.pem");
}

// As `KUBECONFIG=new:old kubectl config set-context` leaves them.
TEST(ParseKubeconfigsTest, AContextMayNameWhatAnotherFileHolds) {
  constexpr char kAlone[] = "contexts: [{name: mine, context: {cluster: e, user: me}}]";
  const auto merged = ParseKubeconfigs({{.folder = "/first", .text = SecretString(kAlone), .name = ""},
                                        {.folder = "/second", .text = SecretString(kTwoContexts), .name = ""}});
  ASSERT_TRUE(merged->contexts.contains("mine"));
  EXPECT_EQ(merged->contexts.at("mine").server, "https://east:6443");
  EXPECT_EQ(merged->contexts.at("mine").ca_file, "/second/ca.pem");
  EXPECT_EQ(merged->contexts.at("mine").exec->command, "/second/./login");
  EXPECT_EQ(merged->current_context, "east");
}

TEST(ParseKubeconfigsTest, AnErrorNamesTheFile) {
  const auto merged = ParseKubeconfigs({{.folder = "/", .text = SecretString(kTwoContexts), .name = "/good"},
                                        {.folder = "/", .text = SecretString("a: [canary"), .name = "/bad"}});
  EXPECT_THAT(std::string(merged.status().message()), HasSubstr("/bad: not a kubeconfig: malformed YAML near line 1"));
}

}  // namespace
}  // namespace k8s
