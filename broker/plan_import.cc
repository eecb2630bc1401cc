#include "broker/plan_import.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "k8s/core/names.h"
#include "k8s/core/refresh_schedule.h"

namespace broker {
namespace {

constexpr char kReady[] = "Ready";
constexpr char kRevoked[] = "Revoked";
// Begins the message of Ready while the held token is used because no other can be had.
constexpr char kRenewalWaits[] = "Token in use until its end; renewal waits: ";
constexpr char kNotAllowedByPolicy[] = "NotAllowedByPolicy";
constexpr char kRemoteServiceAccountNotFound[] = "RemoteServiceAccountNotFound";
constexpr char kSourceCredentialInvalid[] = "SourceCredentialInvalid";
constexpr char kSourceUnreachable[] = "SourceUnreachable";

// The broker's own credential outlives a month without the broker, and is renewed daily.
constexpr absl::Duration kOwnLifetime = absl::Hours(30 * 24);
constexpr absl::Duration kOwnRefreshAge = absl::Hours(24);
// How soon to look again for what announces itself to nobody: the RoleBinding of a namespace that is not served, a
// source's credential that its admin hands over.
constexpr absl::Duration kUnannouncedRetry = absl::Seconds(30);
// A source that is out of reach for less is still told to be ready: a connection that broke is no outage, and whoever
// asks each minute whether all is well wants no other answer each time. Three probes fail meanwhile.
constexpr absl::Duration kOutagePatience = absl::Seconds(10);

std::string AccountText(const k8s::ImportSpec& spec) {
  return absl::StrCat("ServiceAccount ", spec.namespace_name, "/", spec.name, " in cluster ", spec.cluster_name);
}

k8s::RemoteCluster ClusterOf(const Observed& observed) {
  return {.server = observed.source.server,
          .ca_bundle = observed.source.ca_bundle,
          .namespace_name = observed.import.spec.namespace_name};
}

bool IsAlive(const Observed& observed) {
  return observed.token && !observed.refused && observed.token_age < observed.token->lifetime;
}

absl::Duration RefreshAgeOf(const Observed& observed, const k8s::BoundToken& token) {
  const absl::Duration age = k8s::RefreshAge(token);
  return observed.is_source_credential ? std::min(age, kOwnRefreshAge) : age;
}

bool RenewRequested(const Observed& observed) {
  const auto request = observed.import.meta.annotations.find(k8s::kRenewRequestedKey);
  return request != observed.import.meta.annotations.end() &&
         request->second != observed.import.status.renew_requested_at;
}

// Whether the held token is of the account that the import names today. The first token of a source's credential comes
// from kubemcsa, which writes no status.
bool IsOfTheAccount(const Observed& observed) {
  const k8s::ServiceAccountImport& import = observed.import;
  return observed.token->subject == k8s::ServiceAccountUser(import.spec.namespace_name, import.spec.name) &&
         (observed.is_source_credential || import.status.cluster_name == import.spec.cluster_name);
}

// Whether the held token is the one that was written there. A token without an id is not judged.
bool IsAsWritten(const Observed& observed) {
  const std::string& written = observed.import.status.token_id;
  return written.empty() || (observed.token && observed.token->token_id == written);
}

// Whether it is all that the import asks for today: audiences and life too.
bool IsForTheSpec(const Observed& observed) {
  return IsOfTheAccount(observed) && observed.import.status.observed_generation == observed.import.meta.generation;
}

bool IsOfAnOlderAccount(const Observed& observed) {
  return observed.account.state == AccountView::State::kPresent && observed.account.uid != observed.token->account_uid;
}

// Starts a plan whose status is the old one: the spec of then stays the one that is obeyed.
Plan KeepStatus(const Observed& observed) {
  Plan plan;
  plan.status = observed.import.status;
  return plan;
}

// Starts a plan whose status is the old one, brought up to this generation.
Plan StartPlan(const Observed& observed) {
  Plan plan = KeepStatus(observed);
  plan.status.observed_generation = observed.import.meta.generation;
  return plan;
}

void SetReady(Plan& plan, const Observed& observed, bool ready, std::string reason, std::string message) {
  const k8s::Condition* before = k8s::FindCondition(observed.import.status, kReady);
  const bool changed = before == nullptr || before->reason != reason || before->status != ready;
  if (changed && !ready) plan.events.push_back({.warning = true, .reason = reason, .note = message});
  k8s::SetCondition(plan.status,
                    {.type = kReady,
                     .status = ready,
                     .reason = std::move(reason),
                     .message = std::move(message),
                     .observed_generation = observed.import.meta.generation},
                    observed.now);
}

void ForgetToken(k8s::ImportStatus& status) {
  status.expires_at.clear();
  status.next_renewal_at.clear();
  status.token_id.clear();
  status.account_uid.clear();
  status.cluster_name.clear();
}

template <typename Map>
bool HoldsAll(const Map& held, const Map& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& entry) {
    const auto found = held.find(entry.first);
    return found != held.end() && found->second == entry.second;
  });
}

// Whether every key and label of ours is there as it should be; without the labels no watch shows the Secret. What
// somebody added is his.
bool IsIntact(const Plan& plan, const Observed& observed) {
  const HeldSecret& held = *observed.secret;
  return HoldsAll(held.data, plan.secret_data) &&
         HoldsAll(held.meta.labels, k8s::SecretLabels(observed.import.meta.name));
}

bool HoldsCredential(const Observed& observed) {
  if (!observed.secret) return false;
  const auto& data = observed.secret->data;
  return data.contains(k8s::kTokenKey) || data.contains(k8s::kConfigKey) || data.contains(k8s::kConfigInlineKey);
}

// Not ready, and whatever credential is held must go now.
Plan Withdraw(const Observed& observed, const std::string& reason, const std::string& message,
              const std::string& revoked_reason) {
  Plan plan = StartPlan(observed);
  SetReady(plan, observed, false, reason, message);
  ForgetToken(plan.status);
  if (HoldsCredential(observed)) {
    plan.action = Plan::Action::kRevoke;
    if (!revoked_reason.empty()) {
      k8s::SetCondition(plan.status,
                        {.type = kRevoked,
                         .status = true,
                         .reason = revoked_reason,
                         .message = absl::StrCat("The credential was removed from the Secret: ", message),
                         .observed_generation = observed.import.meta.generation},
                        observed.now);
      plan.events.push_back({.warning = true, .reason = "Revoked", .note = message});
    }
  }
  return plan;
}

// The broker's own credential lives, but its source is of no use just now. Nobody but the broker reads that Secret, so
// its Ready speaks of the source: the credential alone would keep it true for a month. Nothing is taken away.
Plan SourceIsOut(const Observed& observed, const std::string& reason, const std::string& message) {
  Plan plan = KeepStatus(observed);
  const k8s::Condition* before = k8s::FindCondition(observed.import.status, kReady);
  const absl::Duration patience = kOutagePatience - observed.source.out_of_reach_for;
  if (before != nullptr && before->status && reason == kSourceUnreachable && patience > absl::ZeroDuration()) {
    plan.requeue_after = patience;
    return plan;
  }
  SetReady(plan, observed, false, reason, message);
  plan.requeue_after = observed.token->lifetime - observed.token_age;
  return plan;
}

// A token is wanted but cannot be had now. The held one serves on to its true end, even if the import asks for another
// life or audience by now; the generation that was obeyed stays the old one then.
Plan Unavailable(const Observed& observed, const std::string& reason, const std::string& message) {
  if (!IsAlive(observed) || !IsOfTheAccount(observed) || IsOfAnOlderAccount(observed)) {
    Plan plan = Withdraw(observed, reason, message, "");
    // Nobody but the broker uses its own credential, and only with it can another be had: it is not given up because a
    // clock says that it has ended.
    if (observed.is_source_credential) plan.action = Plan::Action::kNone;
    return plan;
  }
  if (observed.is_source_credential &&
      (observed.source.state != SourceView::State::kReady || reason == kSourceCredentialInvalid)) {
    return SourceIsOut(observed, reason, message);
  }
  Plan plan = KeepStatus(observed);
  // The condition stays true meanwhile, so nothing else would call somebody before the token ends.
  if (const k8s::Condition* before = k8s::FindCondition(observed.import.status, kReady);
      before == nullptr || !absl::StartsWith(before->message, kRenewalWaits)) {
    plan.events.push_back({.warning = true, .reason = "RenewalWaits", .note = message});
  }
  SetReady(plan, observed, true, "TokenIssued", absl::StrCat(kRenewalWaits, message));
  plan.requeue_after = observed.token->lifetime - observed.token_age;
  return plan;
}

std::string BootstrapOf(const Observed& observed) {
  return absl::StrCat("run: kubemcsa bootstrap <this cluster> ", observed.import.spec.cluster_name);
}

// What to do about a credential that serves no more.
std::string NewCredentialOf(const Observed& observed) {
  return observed.source.is_context ? "mend that context of the broker's kubeconfig, and restart the broker"
                                    : BootstrapOf(observed);
}

// The source is not kReady.
Plan PlanWithoutSource(const Observed& observed) {
  const std::string& cluster = observed.import.spec.cluster_name;
  switch (observed.source.state) {
    case SourceView::State::kUnknown:
      return Unavailable(observed, "UnknownSourceCluster",
                         absl::StrCat("No source cluster is registered as ", cluster, "; ", BootstrapOf(observed)));
    case SourceView::State::kUnusable: {
      // The broker's own credential renews with what it has, and only with that.
      Plan plan = Unavailable(observed, kSourceCredentialInvalid,
                              absl::StrCat("The broker's credential for cluster ", cluster, " is of no use (",
                                           observed.source.error, "); ", NewCredentialOf(observed)));
      if (observed.is_source_credential) plan.requeue_after = kUnannouncedRetry;
      return plan;
    }
    case SourceView::State::kNoCredential:
      return Unavailable(
          observed, kSourceCredentialInvalid,
          absl::StrCat("The broker has no credential for cluster ", cluster, " (", observed.source.error,
                       "); mend that context of the broker's kubeconfig, which is tried again by itself"));
    case SourceView::State::kUnreachable:
    case SourceView::State::kReady:
      break;
  }
  return Unavailable(
      observed, kSourceUnreachable,
      absl::StrCat("Cluster ", cluster, " at ", observed.source.server, " does not answer: ", observed.source.error,
                   observed.is_source_credential
                       ? absl::StrCat("; restore the connection or, if it has moved, ", BootstrapOf(observed))
                       : ""));
}

// Whether the API server's authorizer refused, of which only the text tells: admission, such as a quota or a webhook,
// answers 403 as well (apiserver, responsewriters.Forbidden). An apply that may patch but not create is refused without
// a reason.
bool LacksRight(const absl::Status& error) {
  if (!absl::IsPermissionDenied(error)) return false;
  const std::string text(error.message());
  return absl::StrContains(text, " is forbidden: User \"") || absl::EndsWith(text, " is forbidden: ");
}

// Delivery Broker, for the status: whoever serves a pod takes the token. What a Secret still holds from before goes.
Plan IssuedOnDemand(const Observed& observed) {
  Plan plan = StartPlan(observed);
  if (HoldsCredential(observed)) plan.action = Plan::Action::kRevoke;
  ForgetToken(plan.status);
  plan.status.secret_names.clear();
  plan.status.server = observed.source.server;
  k8s::RemoveCondition(plan.status, kRevoked);
  SetReady(plan, observed, true, "IssuedOnDemand",
           absl::StrCat("Tokens of ", AccountText(observed.import.spec),
                        " are issued on demand to pods with the sidecar, and stored nowhere"));
  return plan;
}

void DescribeToken(Plan& plan, const Observed& observed, const k8s::BoundToken& token, absl::Duration age) {
  k8s::ImportStatus& status = plan.status;
  status.secret_names = {k8s::SecretName(observed.import.meta.name, observed.import.meta.uid)};
  status.server = observed.source.server;
  status.expires_at = k8s::ToRfc3339(token.expires_at);
  status.token_id = token.token_id;
  status.account_uid = token.account_uid;
  status.cluster_name = observed.import.spec.cluster_name;
  plan.requeue_after = std::max(RefreshAgeOf(observed, token) - age, absl::Seconds(1));
  k8s::RemoveCondition(status, kRevoked);
}

}  // namespace

Plan PlanImport(const Observed& observed) {
  const k8s::ServiceAccountImport& import = observed.import;
  const k8s::ImportSpec& spec = import.spec;
  const std::string account = AccountText(spec);
  const bool stores = spec.delivery == k8s::Delivery::kSecret || observed.is_source_credential;
  if (stores && !observed.secret_access.ok()) return PlanAfterSecretError(observed, observed.secret_access);
  if (!observed.older_source.empty()) {
    Plan plan = StartPlan(observed);
    SetReady(plan, observed, false, "DuplicateSource",
             absl::StrCat("Import ", observed.older_source, " registers cluster ", spec.cluster_name,
                          " already; delete one of the two"));
    return plan;
  }

  if (observed.secret) {
    const bool ours = std::any_of(observed.secret->meta.owners.begin(), observed.secret->meta.owners.end(),
                                  [&](const k8s::OwnerReference& owner) { return owner.uid == import.meta.uid; });
    if (!ours) {
      Plan plan = StartPlan(observed);
      SetReady(plan, observed, false, "SecretConflict",
               absl::StrCat("Secret ", observed.secret->meta.name,
                            " has the name of this import's Secret but is not owned by it; delete or rename it"));
      return plan;
    }
  }
  if (!observed.is_source_credential && !observed.policy.allowed) {
    return Withdraw(observed, kNotAllowedByPolicy,
                    absl::StrCat("No policy allows this import: ", observed.policy.reason), "PolicyWithdrawn");
  }
  if (observed.account.state == AccountView::State::kAbsent) {
    return Withdraw(observed, kRemoteServiceAccountNotFound, absl::StrCat(account, " does not exist; create it there"),
                    "RemoteServiceAccountDeleted");
  }
  if (observed.source.state != SourceView::State::kReady) return PlanWithoutSource(observed);

  if (!stores && !observed.on_demand) return IssuedOnDemand(observed);

  if (!IsAlive(observed) || !IsForTheSpec(observed) || !IsAsWritten(observed) || IsOfAnOlderAccount(observed) ||
      RenewRequested(observed) || observed.token_age >= RefreshAgeOf(observed, *observed.token)) {
    Plan plan = StartPlan(observed);
    plan.action = Plan::Action::kMint;
    plan.lifetime = observed.is_source_credential ? kOwnLifetime : spec.expiration;
    return plan;
  }

  Plan plan = StartPlan(observed);
  plan.secret_data = k8s::BuildSecretData(import.meta.name, ClusterOf(observed), observed.token->token);
  if (!IsIntact(plan, observed)) {
    plan.action = Plan::Action::kRewrite;
    plan.events.push_back({.warning = false,
                           .reason = "SecretRestored",
                           .note = absl::StrCat("Secret ", observed.secret->meta.name,
                                                " differed from what it should hold and was written again")});
  }
  DescribeToken(plan, observed, *observed.token, observed.token_age);
  plan.status.next_renewal_at = k8s::ToRfc3339(observed.now + plan.requeue_after);
  // The instant of the plan is written down once, not each time it is looked at: else each look would be a write.
  if (!import.status.next_renewal_at.empty() && import.status.token_id == plan.status.token_id) {
    plan.status.next_renewal_at = import.status.next_renewal_at;
  }
  // A replica that began to lead, or connects anew, has yet to hear of the source. What was found before stands until
  // then.
  if (const k8s::Condition* before = k8s::FindCondition(import.status, kReady);
      before != nullptr && !observed.source.has_answered &&
      (before->reason == kSourceUnreachable || absl::StartsWith(before->message, kRenewalWaits))) {
    plan.requeue_after = std::min(plan.requeue_after, kUnannouncedRetry);
    return plan;
  }
  SetReady(plan, observed, true, "TokenIssued", absl::StrCat("Token of ", account, " issued"));
  return plan;
}

Plan PlanAfterMint(const Observed& observed, const absl::StatusOr<k8s::BoundToken>& minted) {
  const k8s::ServiceAccountImport& import = observed.import;
  const std::string account = AccountText(import.spec);
  if (!minted.ok()) {
    const std::string error(minted.status().message());
    Plan plan;
    switch (minted.status().code()) {
      case absl::StatusCode::kNotFound:
        plan = Withdraw(observed, kRemoteServiceAccountNotFound,
                        absl::StrCat(account, " does not exist; create it there"), "RemoteServiceAccountDeleted");
        break;
      case absl::StatusCode::kPermissionDenied:
        plan = Unavailable(
            observed, "TokenRequestForbidden",
            absl::StrCat("Cluster ", import.spec.cluster_name, " refuses a token of ", account, ": ", error));
        break;
      case absl::StatusCode::kUnauthenticated:
      case absl::StatusCode::kUnavailable:
      case absl::StatusCode::kDeadlineExceeded: {
        // Who refuses the broker too, or does not answer, has said nothing about the token.
        Observed unjudged = observed;
        unjudged.refused = false;
        if (observed.source.state != SourceView::State::kReady) {
          plan = PlanWithoutSource(unjudged);
        } else if (absl::IsUnauthenticated(minted.status())) {
          plan = Unavailable(unjudged, kSourceCredentialInvalid,
                             absl::StrCat("Cluster ", import.spec.cluster_name,
                                          " does not accept the broker's credential; ", NewCredentialOf(observed)));
        } else {
          plan =
              Unavailable(unjudged, kSourceUnreachable, absl::StrCat("TokenRequest for ", account, " failed: ", error));
        }
        break;
      }
      default:
        plan =
            Unavailable(observed, "TokenRequestFailed", absl::StrCat("TokenRequest for ", account, " failed: ", error));
    }
    plan.back_off = true;
    return plan;
  }

  Plan plan = StartPlan(observed);
  plan.action = Plan::Action::kRewrite;
  plan.secret_data = k8s::BuildSecretData(import.meta.name, ClusterOf(observed), minted->token);
  DescribeToken(plan, observed, *minted, absl::ZeroDuration());
  plan.status.next_renewal_at = k8s::ToRfc3339(observed.now + plan.requeue_after);
  if (const auto request = import.meta.annotations.find(k8s::kRenewRequestedKey);
      request != import.meta.annotations.end()) {
    plan.status.renew_requested_at = request->second;
  }
  if (!import.status.account_uid.empty() && import.status.account_uid != minted->account_uid) {
    plan.events.push_back({.warning = true,
                           .reason = "AccountRecreated",
                           .note = absl::StrCat(account, " was created anew; its token was replaced")});
  }
  SetReady(plan, observed, true, "TokenIssued", absl::StrCat("Token of ", account, " issued"));
  if (!observed.secret && !import.status.secret_names.empty()) {
    plan.events.push_back({.warning = true,
                           .reason = "SecretRestored",
                           .note = "The Secret was deleted by somebody and was made again with a new token"});
  } else if (observed.secret && !IsAsWritten(observed)) {
    plan.events.push_back({.warning = true,
                           .reason = "SecretRestored",
                           .note = absl::StrCat("The token in Secret ", observed.secret->meta.name,
                                                " was changed by somebody and was replaced by a new one")});
  }
  plan.events.push_back(
      {.warning = false,
       .reason = IsAlive(observed) ? "TokenRenewed" : "TokenIssued",
       .note = absl::StrCat("Token ", minted->token_id, " of ", account, " until ", plan.status.expires_at)});
  return plan;
}

bool IsDecidedAgainst(const std::string& reason) {
  return reason == kNotAllowedByPolicy || reason == kRemoteServiceAccountNotFound;
}

Plan PlanAfterSecretError(const Observed& observed, const absl::Status& error) {
  // What is there, unseen, is of the spec that was obeyed last.
  Plan plan = observed.import.status.expires_at.empty() ? StartPlan(observed) : KeepStatus(observed);
  const std::string& ns = observed.import.meta.namespace_name;
  if (error.code() == absl::StatusCode::kPermissionDenied) {
    SetReady(plan, observed, false, "NamespaceNotServed",
             absl::StrCat("The broker has no right to Secrets in namespace ", ns, "; grant it: kubectl -n ", ns,
                          " create rolebinding service-account-import-controller-secrets",
                          " --clusterrole=service-account-import-controller-secrets --serviceaccount=",
                          k8s::kBrokerNamespace, ":", k8s::kBrokerName));
    plan.requeue_after = kUnannouncedRetry;
    return plan;
  }
  // An error of our own API server changes nothing for the user; it is logged and tried again.
  plan.back_off = true;
  return plan;
}

Plan PlanAfterWriteError(const Observed& observed, Plan::Action action, const absl::Status& error) {
  if (LacksRight(error)) return PlanAfterSecretError(observed, error);
  Plan plan = KeepStatus(observed);
  if (absl::IsPermissionDenied(error) || absl::IsInvalidArgument(error)) {
    const std::string reason = "SecretWriteRefused";
    const k8s::ObjectMeta& meta = observed.import.meta;
    const std::string message = absl::StrCat("The API server refuses what the broker writes to Secret ",
                                             k8s::SecretName(meta.name, meta.uid), ": ", std::string(error.message()));
    if (action == Plan::Action::kRevoke) {
      SetReady(plan, observed, false, reason, message);
    } else {
      plan = Unavailable(observed, reason, message);
    }
  }
  plan.action = Plan::Action::kNone;
  plan.back_off = true;
  return plan;
}

}  // namespace broker
