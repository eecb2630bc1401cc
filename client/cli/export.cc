#include <absl/strings/str_cat.h>

#include <iostream>
#include <memory>

#include "client/cli/cli.h"
#include "k8s/api/token_requester.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/kubeconfig.h"
#include "k8s/core/names.h"
#include "k8s/core/service_account_import.h"

namespace cli {
namespace {

struct Flags {
  ClusterFlags cluster;
  std::string namespace_name;
  std::string account;
  std::string as;
  std::string duration = "1h";
  std::string output = "secret";
  AddressFlags address;
};

int Run(const Flags& flags) {
  absl::Duration lifetime;
  if (!absl::ParseDuration(flags.duration, &lifetime) || lifetime < absl::Minutes(10)) {
    return Fail(
        absl::InvalidArgumentError(absl::StrCat("--duration=", flags.duration, " is no duration of at least 10m")));
  }
  const std::string name = flags.as.empty() ? flags.account : flags.as;
  if (!k8s::IsDnsSubdomain(name))
    return Fail(
        absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is no DNS-1123 subdomain; choose another: --as=NAME")));
  absl::StatusOr<Cluster> cluster = OpenOneCluster(flags.cluster);
  if (!cluster.ok()) return Fail(cluster.status());
  const k8s::ObjectKey account{flags.namespace_name.empty() ? cluster->access.namespace_name : flags.namespace_name,
                               flags.account};
  absl::StatusOr<k8s::RemoteCluster> remote = AddressForOthers(cluster->access, flags.address);
  if (!remote.ok()) return Fail(remote.status());
  remote->namespace_name = account.namespace_name;
  absl::StatusOr<k8s::BoundToken> token = k8s::RequestToken(cluster->client(), account, {}, lifetime);
  if (!token.ok()) return Fail(token.status());
  auto data = k8s::BuildSecretData(name, *remote, token->token);
  // Nobody renews it, so the file form would lead nowhere once copied: both kubeconfigs are inline.
  data[k8s::kConfigKey] = data.at(k8s::kConfigInlineKey);
  if (flags.output == "kubeconfig") {
    std::cout << data.at(k8s::kConfigKey).Reveal() << "\n";
  } else {
    k8s::Json secret = k8s::BuildSecret({.name = name}, data);
    secret.get_object()["metadata"] = k8s::JsonObject{{"name", name}};
    std::cout << boost::json::serialize(secret) << "\n";
  }
  if (IsLoopback(remote->server)) Note(absl::StrCat("its ", LoopbackAdvice(remote->server)));
  Note(absl::StrCat("this credential ends at ", k8s::ToRfc3339(token->expires_at),
                    " and nothing renews it; an import is renewed"));
  return kExitOk;
}

}  // namespace

void AddExport(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("export", "print a Secret with a credential of a ServiceAccount, to apply elsewhere");
  auto flags = std::make_shared<Flags>();
  command->add_option("NAME", flags->account, "name of the ServiceAccount")->required();
  command->add_option("-n,--namespace", flags->namespace_name, "its namespace; default the context's");
  AddFlags(*command, flags->cluster, "account's cluster");
  command->add_option("--as", flags->as, "name of the Secret and in the kubeconfigs; default NAME");
  command->add_option("--duration", flags->duration, "how long it should live, at least 10m")->capture_default_str();
  AddFlags(*command, flags->address);
  command->add_option("-o,--output", flags->output, "secret or kubeconfig")
      ->check(CLI::IsMember({"secret", "kubeconfig"}))
      ->capture_default_str();
  command->footer("Example: kubemcsa export pod-lister --context cluster2 | kubectl --context cluster1 apply -f -");
  command->callback([flags, &status] { status = Run(*flags); });
}

}  // namespace cli
