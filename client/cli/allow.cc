// kubemcsa allow and deny: what a source's admin changes after bootstrap.
#include <absl/strings/str_cat.h>

#include <memory>
#include <optional>
#include <utility>

#include "client/cli/cli.h"
#include "client/cli/source_state.h"
#include "k8s/core/source_objects.h"
#include "k8s/core/source_trust.h"

namespace cli {
namespace {

struct Flags {
  ClusterFlags source;
  std::string target_name;
  std::string account;
  bool powerful = false;
};

// Changes the fence, then the grants to match. Grants of namespaces that are no longer named are removed.
absl::Status ChangeSource(const k8s::Client& client, const Flags& flags, bool allow) {
  absl::StatusOr<k8s::AccountScope> account = k8s::ParseAccountScope(flags.account);
  if (!account.ok()) return account.status();
  if (account->name.empty() && (!allow || flags.powerful))
    return absl::InvalidArgumentError("name one account: NAMESPACE/NAME");
  absl::StatusOr<std::optional<k8s::SourceTrust>> found = FindTrust(client, flags.target_name);
  if (!found.ok()) return found.status();
  if (!found->has_value()) {
    return absl::NotFoundError(absl::StrCat("target ", flags.target_name,
                                            " was not bootstrapped with this cluster; is this the right --context?"));
  }
  k8s::SourceTrust trust = **std::move(found);
  absl::StatusOr<k8s::Fencing> fencing = FindFencing(client);
  if (!fencing.ok()) return fencing.status();
  if (!allow) {
    if (absl::Status status = k8s::Deny(trust, *account, *fencing); !status.ok()) return status;
  } else if (flags.powerful) {
    k8s::AllowPowerful(trust, *account);
  } else {
    k8s::Allow(trust, *account);
  }
  std::vector<k8s::Json> wanted = k8s::BuildSourceGrants(trust);
  if (*fencing == k8s::Fencing::kFence) {
    std::vector<k8s::Json> fence = k8s::BuildFence(trust);
    wanted.insert(wanted.begin(), fence.begin(), fence.end());
  }
  for (const k8s::Json& object : wanted) {
    if (absl::Status status = ApplyObject(client, object).status(); !status.ok()) return status;
  }
  return DeleteGrantsBeyond(client, trust);
}

void Add(CLI::App& app, int& status, bool allow) {
  CLI::App* command = allow
                          ? app.add_subcommand("allow", "in a source: let a target's broker take tokens of an account")
                          : app.add_subcommand("deny", "in a source: refuse a target's broker tokens of an account");
  auto flags = std::make_shared<Flags>();
  command->add_option("ACCOUNT", flags->account, "NAMESPACE/NAME")->required();
  command->add_option("--target-name", flags->target_name, "name under which the target was bootstrapped")->required();
  AddFlags(*command, flags->source, "source");
  if (allow) command->add_flag("--powerful", flags->powerful, "even though the account could take over the cluster");
  command->footer(allow ? "Example: kubemcsa allow --powerful ops/backup --target-name=cluster1 --context=cluster2"
                        : "Example: kubemcsa deny ops/backup --target-name=cluster1 --context=cluster2");
  command->callback([flags, &status, allow] {
    absl::StatusOr<Cluster> source = OpenOneCluster(flags->source);
    const absl::Status changed = source.ok() ? ChangeSource(source->client(), *flags, allow) : source.status();
    if (!changed.ok()) {
      status = Fail(changed);
      return;
    }
    Done(absl::StrCat(flags->account, allow ? " may" : " may not", " be imported by ", flags->target_name));
    if (!allow)
      Note("a token that was issued already ends with its life; to end it now, delete and recreate the account");
  });
}

}  // namespace

void AddAllow(CLI::App& app, int& status) {
  Add(app, status, /*allow=*/true);
}
void AddDeny(CLI::App& app, int& status) {
  Add(app, status, /*allow=*/false);
}

}  // namespace cli
