// kubemcsa allow and deny: what a source's admin changes after bootstrap. Both try, as the broker, whether it came
// true.
#include <absl/strings/str_cat.h>

#include <memory>
#include <optional>
#include <utility>

#include "client/cli/cli.h"
#include "client/cli/source_state.h"
#include "k8s/api/token_requester.h"
#include "k8s/core/names.h"
#include "k8s/core/source_objects.h"
#include "k8s/core/source_trust.h"

namespace cli {
namespace {

constexpr absl::Duration kTriedTokenLife = absl::Minutes(10);  // the shortest there is; it is dropped at once
constexpr absl::Duration kSettleTimeout = absl::Seconds(10);   // until the API server's informers have the change

struct Flags {
  ClusterFlags source;
  std::string target_name;
  std::string account;
  bool powerful = false;
};

struct State {
  k8s::SourceTrust trust;
  k8s::Fencing fencing;
};

absl::StatusOr<State> Load(const k8s::Client& client, const std::string& target_name) {
  absl::StatusOr<std::optional<k8s::SourceTrust>> trust = FindTrust(client, target_name);
  if (!trust.ok()) return trust.status();
  if (!trust->has_value()) return UnknownTargetError(target_name);
  absl::StatusOr<k8s::Fencing> fencing = FindFencing(client);
  if (!fencing.ok()) return fencing.status();
  return State{.trust = **std::move(trust), .fencing = *fencing};
}

// Changes the fence, then the grants to match. Grants of namespaces that are no longer named are removed.
absl::Status Store(const k8s::Client& client, const State& state) {
  std::vector<k8s::Json> objects = k8s::BuildSourceGrants(state.trust);
  if (state.fencing == k8s::Fencing::kFence) {
    std::vector<k8s::Json> fence = k8s::BuildFence(state.trust);
    objects.insert(objects.begin(), fence.begin(), fence.end());
  }
  for (const k8s::Json& object : objects) {
    if (absl::Status status = ApplyObject(client, object).status(); !status.ok()) return status;
  }
  return DeleteGrantsBeyond(client, state.trust);
}

// Asks, as the broker, for a token of the account, until `settled` likes the answer or the timeout, and returns the
// last answer. Nothing, and a note, if the caller may not take a token of the broker's identity.
std::optional<absl::Status> TryAsBroker(const Cluster& source, const Flags& flags, const k8s::AccountScope& account,
                                        absl::Duration timeout,
                                        const std::function<bool(const absl::Status&)>& settled) {
  absl::StatusOr<k8s::BoundToken> token =
      k8s::RequestToken(source.client(), {k8s::kBrokerNamespace, flags.target_name}, {}, kTriedTokenLife);
  if (absl::IsPermissionDenied(token.status())) {
    Note("not tried, since you may not take a token of the broker's identity");
    return std::nullopt;
  }
  if (absl::IsNotFound(token.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("the identity of ", flags.target_name, " is gone; repair it with kubemcsa bootstrap"));
  }
  if (!token.ok()) return token.status();
  absl::StatusOr<k8s::ClusterConnection> as_broker = ConnectAsBroker(source, token->token);
  if (!as_broker.ok()) return as_broker.status();
  absl::Status answer;
  WaitUntil(timeout, [&] {
    answer =
        k8s::RequestToken(*as_broker->client, {account.namespace_name, account.name}, {}, kTriedTokenLife).status();
    return settled(answer);
  });
  return answer;
}

void TellOfNamespace(const State& state, const k8s::AccountScope& scope) {
  Done(absl::StrCat(state.trust.target_name, " may import ",
                    state.trust.only.empty() ? "every account" : absl::StrCat("the accounts of ", ToString(scope)),
                    state.fencing == k8s::Fencing::kFence ? " that the fence lets pass" : ""));
  for (const k8s::AccountScope& denied : state.trust.denied) {
    if (denied.namespace_name != scope.namespace_name) continue;
    Note(absl::StrCat(ToString(denied), " stays denied; lift that with: kubemcsa allow ", ToString(denied),
                      " --target-name=", state.trust.target_name));
  }
}

int RunAllow(const Flags& flags) {
  absl::StatusOr<k8s::AccountScope> account = k8s::ParseAccountScope(flags.account);
  if (!account.ok()) return Fail(account.status());
  if (account->name.empty() && flags.powerful)
    return Fail(absl::InvalidArgumentError("--powerful is for one account: NAMESPACE/NAME"));
  absl::StatusOr<Cluster> source = OpenOneCluster(flags.source);
  if (!source.ok()) return Fail(source.status());
  absl::StatusOr<State> state = Load(source->client(), flags.target_name);
  if (!state.ok()) return Fail(state.status());
  const k8s::SourceTrust before = state->trust;
  if (flags.powerful) {
    k8s::AllowPowerful(state->trust, *account);
  } else {
    k8s::Allow(state->trust, *account);
  }
  if (absl::Status status = Store(source->client(), *state); !status.ok()) return Fail(status);
  if (account->name.empty()) {
    TellOfNamespace(*state, *account);
    return kExitOk;
  }
  const absl::Status answer =
      TryAsBroker(*source, flags, *account, state->trust == before ? absl::ZeroDuration() : kSettleTimeout,
                  [](const absl::Status& status) { return !absl::IsPermissionDenied(status); })
          .value_or(absl::OkStatus());
  if (absl::IsNotFound(answer)) {
    Note(absl::StrCat("there is no account ", flags.account, " yet"));
  } else if (!answer.ok()) {
    return Fail(absl::Status(answer.code(), absl::StrCat(flags.account, " cannot be imported by ", flags.target_name,
                                                         ": ", std::string(answer.message()))));
  }
  Done(absl::StrCat(flags.account, " may be imported by ", flags.target_name));
  return kExitOk;
}

int RunDeny(const Flags& flags) {
  absl::StatusOr<k8s::AccountScope> account = k8s::ParseAccountScope(flags.account);
  if (!account.ok()) return Fail(account.status());
  if (account->name.empty()) return Fail(absl::InvalidArgumentError("name one account: NAMESPACE/NAME"));
  absl::StatusOr<Cluster> source = OpenOneCluster(flags.source);
  if (!source.ok()) return Fail(source.status());
  absl::StatusOr<State> state = Load(source->client(), flags.target_name);
  if (!state.ok()) return Fail(state.status());
  if (absl::Status status = k8s::Deny(state->trust, *account, state->fencing); !status.ok()) return Fail(status);
  if (absl::Status status = Store(source->client(), *state); !status.ok()) return Fail(status);
  const absl::Status answer = TryAsBroker(*source, flags, *account, kSettleTimeout, [](const absl::Status& status) {
                                return !status.ok();
                              }).value_or(absl::PermissionDeniedError("not tried"));
  if (answer.ok()) {
    return Fail(absl::FailedPreconditionError(
        absl::StrCat(flags.account,
                     " is denied, and yet the API server does not refuse it; see: kubectl get "
                     "validatingadmissionpolicy ",
                     k8s::FenceName(flags.target_name), ", and repair it with kubemcsa bootstrap")));
  }
  if (!absl::IsPermissionDenied(answer) && !absl::IsNotFound(answer)) return Fail(answer);
  Done(absl::StrCat(flags.account, " may not be imported by ", flags.target_name));
  Note("a token that was issued already ends with its life; to end it now, delete and recreate the account");
  return kExitOk;
}

std::shared_ptr<Flags> AddCommonFlags(CLI::App& command, const char* account) {
  auto flags = std::make_shared<Flags>();
  command.add_option("ACCOUNT", flags->account, account)->required();
  command.add_option("--target-name", flags->target_name, "name under which the target was bootstrapped")->required();
  AddFlags(command, flags->source, "source");
  return flags;
}

}  // namespace

void AddAllow(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("allow", "in a source: let a target's broker take tokens of an account");
  auto flags = AddCommonFlags(*command, "NAMESPACE/NAME, or NAMESPACE for all accounts there");
  command->add_flag("--powerful", flags->powerful, "even though the account could take over the cluster");
  command->footer("Example: kubemcsa allow --powerful ops/backup --target-name=cluster1 --context=cluster2");
  command->callback([flags, &status] { status = RunAllow(*flags); });
}

void AddDeny(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("deny", "in a source: refuse a target's broker tokens of an account");
  auto flags = AddCommonFlags(*command, "NAMESPACE/NAME");
  command->footer("Example: kubemcsa deny ops/backup --target-name=cluster1 --context=cluster2");
  command->callback([flags, &status] { status = RunDeny(*flags); });
}

}  // namespace cli
