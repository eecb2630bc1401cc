// kubemcsa allow and deny: what a source's admin changes after bootstrap.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "client/cli/cli.h"
#include "k8s/core/source_trust.h"

namespace cli {
namespace {

const k8s::Resource kFences{"admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"};

struct Flags {
  ClusterFlags source;
  std::string target_name;
  std::string account;
  bool powerful = false;
};

void Insert(std::vector<k8s::AccountScope>& scopes, const k8s::AccountScope& scope) {
  if (std::find(scopes.begin(), scopes.end(), scope) == scopes.end()) scopes.push_back(scope);
}

void Allow(k8s::SourceTrust& trust, const k8s::AccountScope& account, bool powerful) {
  std::erase(trust.denied, account);
  if (powerful) Insert(trust.powerful, account);
  if (!trust.only.empty()) Insert(trust.only, account);
}

void Deny(k8s::SourceTrust& trust, const k8s::AccountScope& account) {
  std::erase(trust.powerful, account);
  // The last entry stays: an empty list would mean every account. The fence refuses it all the same.
  if (trust.only.size() > 1) std::erase(trust.only, account);
  Insert(trust.denied, account);
}

// Changes what the fence says, then the grants to match. Grants of namespaces that are no longer named are removed.
absl::Status Change(const k8s::Client& client, const Flags& flags, bool allow) {
  absl::StatusOr<k8s::AccountScope> account = k8s::ParseAccountScope(flags.account);
  if (!account.ok()) return account.status();
  if (account->name.empty() && (!allow || flags.powerful))
    return absl::InvalidArgumentError("name one account: NAMESPACE/NAME");
  absl::StatusOr<k8s::Json> policy = client.Get(kFences, {"", k8s::FenceName(flags.target_name)});
  if (absl::IsNotFound(policy.status())) {
    return absl::NotFoundError(absl::StrCat("target ", flags.target_name,
                                            " was not bootstrapped with this cluster; is this the right --context?"));
  }
  if (!policy.ok()) return policy.status();
  absl::StatusOr<k8s::SourceTrust> trust = k8s::ParseFence(*policy);
  if (!trust.ok()) return trust.status();
  const std::vector<k8s::Json> before = k8s::BuildSourceGrants(*trust);
  if (allow) {
    Allow(*trust, *account, flags.powerful);
  } else {
    Deny(*trust, *account);
  }
  const std::vector<k8s::Json> after = k8s::BuildSourceGrants(*trust);
  std::vector<k8s::Json> wanted = k8s::BuildFence(*trust);
  wanted.insert(wanted.end(), after.begin(), after.end());
  for (const k8s::Json& object : wanted) {
    if (absl::Status status = ApplyObject(client, object).status(); !status.ok()) return status;
  }
  for (const k8s::Json& object : before) {
    const bool kept = std::any_of(after.begin(), after.end(), [&](const k8s::Json& other) {
      return Describe(other) == Describe(object) && k8s::KeyOf(other) == k8s::KeyOf(object);
    });
    if (kept) continue;
    if (absl::Status status = DeleteObject(client, object); !status.ok()) return status;
  }
  return absl::OkStatus();
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
    const absl::Status changed = source.ok() ? Change(source->client(), *flags, allow) : source.status();
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
