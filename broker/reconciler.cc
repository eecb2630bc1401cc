#include "broker/reconciler.h"

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "k8s/api/log.h"
#include "k8s/core/names.h"
#include "k8s/core/refresh_schedule.h"

namespace broker {
namespace {

// How often a source is asked about a token whose account nobody may watch.
constexpr absl::Duration kReviewInterval = absl::Minutes(1);
// The CRD lets nobody ask for more.
constexpr absl::Duration kMaxExpiration = absl::Hours(24);

k8s::ObjectKey AccountOf(const k8s::ServiceAccountImport& import) {
  return {import.spec.namespace_name, import.spec.name};
}

std::string Text(const absl::Status& status) {
  return std::string(status.message());
}

// What was asked when the held token was requested: no more of its claims is believed. Of an earlier spec only the most
// that it may have said is known.
absl::Duration AskedLifetime(const Observed& observed) {
  if (observed.is_source_credential) return absl::InfiniteDuration();
  const k8s::ServiceAccountImport& import = observed.import;
  return import.status.observed_generation == import.meta.generation ? import.spec.expiration : kMaxExpiration;
}

void ParseToken(Observed& observed) {
  const auto token = observed.secret->data.find(k8s::kTokenKey);
  if (token == observed.secret->data.end()) return;
  if (absl::StatusOr<k8s::BoundToken> parsed = k8s::ParseBoundToken(token->second); parsed.ok()) {
    observed.token = *std::move(parsed);
    observed.token->lifetime = std::min(observed.token->lifetime, AskedLifetime(observed));
  }
}

// Whether the source is asked about the token that is held. One for other audiences it refuses however well it is; that
// its account is gone shows when it is renewed.
bool WantsReview(const Observed& observed) {
  return observed.account.state == AccountView::State::kNotWatched && observed.import.spec.audiences.empty();
}

// Whether a text quotes the token's beginning, as it is or within anything in Base64. Long answers are cut, so the
// whole need not be there.
bool Quotes(absl::string_view text, absl::string_view token) {
  constexpr size_t kEnough = 48;
  if (absl::StrContains(text, token.substr(0, kEnough))) return true;
  // Base64 takes three bytes at a time, so what stands before shifts it.
  for (size_t shift = 0; shift < 3 && shift < token.size(); ++shift) {
    if (absl::StrContains(text, absl::Base64Escape(token.substr(shift, kEnough)))) return true;
  }
  return false;
}

// An error that may be logged and shown. A webhook or a policy that refuses a Secret may quote it.
absl::Status WithoutToken(const absl::Status& error, const std::map<std::string, k8s::SecretString>& data) {
  const auto token = data.find(k8s::kTokenKey);
  if (token == data.end() || error.ok()) return error;
  const absl::string_view text(token->second.Reveal().data(), token->second.size());
  if (!Quotes(error.message(), text)) return error;
  return absl::Status(error.code(), "what it says is not repeated, because it quotes the token");
}

Requeue RequeueOf(const Plan& plan, const Observed& observed) {
  if (plan.back_off) return {.how = Requeue::How::kBackOff};
  absl::Duration after = plan.requeue_after;
  if (WantsReview(observed) && after > absl::ZeroDuration()) after = std::min(after, kReviewInterval);
  if (after == absl::ZeroDuration()) return {};
  return {.how = Requeue::How::kAfter, .after = after};
}

}  // namespace

bool IsSourceCredential(const k8s::ServiceAccountImport& import, const std::string& own_namespace,
                        const std::set<std::string>& listed) {
  const auto label = import.meta.labels.find(k8s::kSourceClusterLabel);
  const bool labelled = label != import.meta.labels.end() && label->second == "true";
  return import.meta.namespace_name == own_namespace && (labelled || listed.contains(import.meta.name));
}

Requeue Reconciler::Reconcile(const k8s::ObjectKey& key) {
  const auto import = deps_.imports.Get(key);
  if (import == nullptr || import->meta.being_deleted) {
    Forget(key);
    return {};
  }
  // Every import is looked at when this replica starts to lead; until then it knows the sources, to serve and to mint.
  if (!deps_.is_leader())
    return IsSourceCredential(*import, deps_.own_namespace, deps_.source_imports) ? FollowSource(*import) : Requeue();

  absl::StatusOr<Observed> observed = Gather(*import);
  // What it waits for, the first list of Secrets, its namespace or a source's registration, queues it anew when it
  // comes.
  if (absl::IsUnavailable(observed.status())) return {.how = Requeue::How::kBackOff};
  if (!observed.ok()) {
    k8s::Log(k8s::LogLevel::kWarn, "cannot read what belongs to an import; will try again",
             {{"import", k8s::ToString(key)}, {"error", Text(observed.status())}});
    return {.how = Requeue::How::kBackOff};
  }
  Plan plan = PlanImport(*observed);
  if (plan.action == Plan::Action::kMint) {
    const absl::Status writable = TryToWrite(*observed);
    plan = writable.ok() ? Mint(*observed, plan.lifetime) : PlanAfterWriteError(*observed, plan.action, writable);
  }
  if (absl::Status status = Apply(*observed, plan); !status.ok()) {
    k8s::Log(k8s::LogLevel::kWarn, "cannot write what an import needs; will try again",
             {{"import", k8s::ToString(key)}, {"error", Text(status)}});
    return {.how = Requeue::How::kBackOff};
  }
  return RequeueOf(plan, *observed);
}

Requeue Reconciler::FollowSource(const k8s::ServiceAccountImport& import) {
  Observed observed{.import = import, .is_source_credential = true};
  if (GatherHeld(observed, std::nullopt).ok()) return {};
  return {.how = Requeue::How::kBackOff};
}

Requeue Reconciler::ReconcileOnDemand(const k8s::ServiceAccountImport& import, OnDemandToken& held) {
  held.awaits = AwaitsSource(import);
  if (held.awaits) return {.how = Requeue::How::kBackOff};
  Observed observed{.import = import, .on_demand = true};
  observed.now = deps_.clock.Now();
  observed.import.status = held.status;
  if (!held.data.empty()) {
    observed.secret = HeldSecret{.data = held.data};
    observed.secret->meta.owners = {{.kind = k8s::kImportKind, .name = import.meta.name, .uid = import.meta.uid}};
    observed.secret->meta.labels = k8s::SecretLabels(import.meta.name);
    ParseToken(observed);
  }
  if (!GatherPolicy(observed).ok()) return {.how = Requeue::How::kBackOff};  // what is held serves on meanwhile
  GatherSource(observed, FindWritten(import.meta.uid));
  Plan plan = PlanImport(observed);
  if (plan.action == Plan::Action::kMint) plan = Mint(observed, plan.lifetime);
  if (plan.action == Plan::Action::kRewrite) held.data = plan.secret_data;
  if (plan.action == Plan::Action::kRevoke) held.data.clear();
  held.status = plan.status;
  return RequeueOf(plan, observed);
}

absl::StatusOr<Observed> Reconciler::Gather(const k8s::ServiceAccountImport& import) {
  Observed observed{.import = import};
  observed.now = deps_.clock.Now();
  observed.is_source_credential = IsSourceCredential(import, deps_.own_namespace, deps_.source_imports);
  const std::optional<Written> written = FindWritten(import.meta.uid);
  if (written) observed.import.status = written->status;

  if (absl::Status status = GatherHeld(observed, written); !status.ok()) return status;
  if (AwaitsSource(import)) return absl::UnavailableError("its source is not registered yet");
  if (absl::Status status = GatherPolicy(observed); !status.ok()) return status;
  GatherSource(observed, written);
  return observed;
}

// What the import's Secret holds; of a source credential, it is put to use at once.
absl::Status Reconciler::GatherHeld(Observed& observed, const std::optional<Written>& written) {
  switch (deps_.secrets.StateOf(observed.import.meta.namespace_name)) {
    case k8s::ScopedWatch::State::kStarting:
      return absl::UnavailableError("Secrets are not listed yet");
    case k8s::ScopedWatch::State::kForbidden:
      observed.secret_access = absl::PermissionDeniedError("no right to Secrets");
      break;
    case k8s::ScopedWatch::State::kSynced:
    case k8s::ScopedWatch::State::kFailing:
      GatherSecret(observed, written);
  }
  if (!observed.secret_access.ok() && !absl::IsPermissionDenied(observed.secret_access)) return observed.secret_access;
  if (!observed.is_source_credential) return absl::OkStatus();
  const auto source = SourceImport(observed.import.spec.cluster_name);
  if (source != nullptr && source->meta.name != observed.import.meta.name) {
    observed.older_source = source->meta.name;
  } else {
    RegisterSource(observed, SourceCredential(observed));
  }
  return absl::OkStatus();
}

absl::Status Reconciler::GatherPolicy(Observed& observed) const {
  const k8s::ServiceAccountImport& import = observed.import;
  // Its import may be seen before the namespace is. Labels that are not known are not none: rules match those without.
  const auto own_namespace = deps_.namespaces.Get({"", import.meta.namespace_name});
  if (own_namespace == nullptr) return absl::UnavailableError("its namespace is not listed yet");
  std::vector<k8s::ImportPolicy> policies;
  for (const auto& policy : deps_.policies.List()) policies.push_back(*policy);
  std::vector<std::shared_ptr<const k8s::ServiceAccountImport>> older;
  if (std::any_of(policies.begin(), policies.end(), &k8s::BoundsImports)) {
    older = deps_.imports.List(import.meta.namespace_name);
    std::erase_if(older, [&](const auto& other) {
      return std::pair(other->meta.created_at, other->meta.name) >= std::pair(import.meta.created_at, import.meta.name);
    });
  }
  observed.policy = k8s::DecideImport(import, own_namespace->labels, older, policies);
  return absl::OkStatus();
}

// The import that registers the cluster. Of several it is the oldest: with two credentials in turn a source would be
// connected anew for ever.
std::shared_ptr<const k8s::ServiceAccountImport> Reconciler::SourceImport(const std::string& cluster) const {
  std::shared_ptr<const k8s::ServiceAccountImport> oldest;
  for (const auto& import : deps_.imports.List(deps_.own_namespace)) {
    if (!IsSourceCredential(*import, deps_.own_namespace, deps_.source_imports) || import->meta.being_deleted ||
        import->spec.cluster_name != cluster)
      continue;
    if (oldest == nullptr ||
        std::pair(import->meta.created_at, import->meta.name) < std::pair(oldest->meta.created_at, oldest->meta.name))
      oldest = import;
  }
  return oldest;
}

// A replica that just began to lead meets imports before the one that registers their source.
bool Reconciler::AwaitsSource(const k8s::ServiceAccountImport& import) const {
  const std::string& cluster = import.spec.cluster_name;
  return absl::IsNotFound(deps_.sources.Find(cluster).status()) && SourceImport(cluster) != nullptr;
}

void Reconciler::GatherSecret(Observed& observed, const std::optional<Written>& written) {
  const k8s::ObjectMeta& meta = observed.import.meta;
  const k8s::ObjectKey key{meta.namespace_name, k8s::SecretName(meta.name, meta.uid)};
  // The watch is asked first because a new import has no Secret, and that answer costs nothing. It may not yet show
  // what this replica wrote itself.
  if (!written && deps_.secrets.Get(key) == nullptr) return;
  absl::StatusOr<k8s::Json> secret = deps_.target.Get(k8s::kSecrets, key);
  if (absl::IsNotFound(secret.status())) return;
  if (!secret.ok()) {
    observed.secret_access = secret.status();
    return;
  }
  observed.secret = HeldSecret{.meta = k8s::ParseObjectMeta(*secret),
                               .data = k8s::ParseSecretData(*secret),
                               .immutable = k8s::BoolAt(*secret, {"immutable"})};
  ParseToken(observed);
}

void Reconciler::GatherSource(Observed& observed, const std::optional<Written>& written) {
  absl::StatusOr<std::shared_ptr<Source>> source = deps_.sources.Find(observed.import.spec.cluster_name);
  absl::Time server_now = deps_.clock.Now();
  observed.source = deps_.sources.View(observed.import.spec.cluster_name);
  if (source.ok()) {
    // Asking may begin a watch of that namespace, of which there is a limited number: not for what is refused anyway.
    if (observed.is_source_credential || observed.policy.allowed) {
      observed.account = (*source)->Account(AccountOf(observed.import));
    }
    server_now = (*source)->ServerNow();
  }
  if (!observed.token) return;

  // Old sources give tokens no id.
  const bool received_here =
      written && written->token_id == observed.token->token_id && written->token_issued_at == observed.token->issued_at;
  const absl::Duration now = deps_.clock.Monotonic();
  observed.token_age =
      k8s::TokenAge(*observed.token, received_here ? now - written->received_at : absl::InfiniteDuration(), server_now);

  if (!source.ok() || observed.source.state != SourceView::State::kReady || !WantsReview(observed)) return;
  if (written && now - written->reviewed_at < kReviewInterval) return;
  const absl::Status review = (*source)->Review(observed.token->token);
  observed.refused = absl::IsUnauthenticated(review);  // the TokenRequest that follows tells why
  if (review.ok()) UpdateWritten(observed.import, [&](Written& record) { record.reviewed_at = now; });
}

// A token that cannot be stored is taken in vain: where the last write failed, one without a token comes first. An
// immutable Secret is not written to.
absl::Status Reconciler::TryToWrite(const Observed& observed) const {
  const k8s::ObjectMeta& meta = observed.import.meta;
  const std::optional<Written> written = FindWritten(meta.uid);
  if (!written || !written->secret_refused || (observed.secret && observed.secret->immutable)) return absl::OkStatus();
  const k8s::ImportRef ref{.namespace_name = meta.namespace_name, .name = meta.name, .uid = meta.uid};
  const std::string uid = observed.secret ? observed.secret->meta.uid : "";
  return deps_.target.DryRunApply(k8s::kSecrets, k8s::BuildSecret(ref, {}, uid), k8s::kFieldManager).status();
}

Plan Reconciler::Mint(Observed& observed, absl::Duration lifetime) {
  const k8s::ImportSpec& spec = observed.import.spec;
  absl::StatusOr<std::shared_ptr<Source>> source = deps_.sources.Find(spec.cluster_name);
  if (!source.ok()) return PlanAfterMint(observed, absl::UnavailableError("the source was removed meanwhile"));
  const absl::Duration started = deps_.clock.Monotonic();
  absl::StatusOr<k8s::BoundToken> token = (*source)->Mint(AccountOf(observed.import), spec.audiences, lifetime);
  const absl::Duration received = deps_.clock.Monotonic();
  deps_.metrics.CountTokenRequest(spec.cluster_name, token.status(), received - started);
  if (!token.ok()) {
    observed.source = deps_.sources.View(spec.cluster_name);
  } else {
    k8s::Audit("TokenIssued", {{"import", k8s::ToString(observed.import.meta.key())},
                               {"importUid", observed.import.meta.uid},
                               {"cluster", spec.cluster_name},
                               {"account", k8s::ToString(AccountOf(observed.import))},
                               {"tokenId", token->token_id},
                               {"expiresAt", k8s::ToRfc3339(token->expires_at)},
                               {"rule", observed.is_source_credential ? "source-credential" : observed.policy.rule}});
    UpdateWritten(observed.import, [&](Written& record) {
      record.token_id = token->token_id;
      record.token_issued_at = token->issued_at;
      record.received_at = record.reviewed_at = received;
    });
  }
  return PlanAfterMint(observed, token);
}

absl::Status Reconciler::Apply(const Observed& observed, Plan& plan) {
  const k8s::ObjectMeta& meta = observed.import.meta;
  // The import may be gone since it was read, and a TokenRequest takes its time.
  const auto current = deps_.imports.Get(meta.key());
  if (current == nullptr || current->meta.uid != meta.uid || !deps_.is_leader()) return absl::OkStatus();

  absl::Status secret_written;
  if (plan.action != Plan::Action::kNone) secret_written = WithoutToken(ApplySecret(observed, plan), plan.secret_data);
  if (!secret_written.ok()) {
    UpdateWritten(observed.import, [](Written& record) { record.secret_refused = true; });
    plan = PlanAfterWriteError(observed, plan.action, secret_written);
  }
  if (plan.status != observed.import.status || plan.status != current->status) {
    absl::StatusOr<k8s::Json> written =
        deps_.target.Apply(k8s::kImports, k8s::BuildImportStatus(meta, plan.status), k8s::kFieldManager, "status");
    // Deleted, or deleted and made again: then this status belongs to nothing.
    if (absl::IsNotFound(written.status()) || absl::IsFailedPrecondition(written.status()) ||
        absl::IsAborted(written.status()))
      return absl::OkStatus();
    if (!written.ok()) return written.status();
    UpdateWritten(observed.import, [&](Written& record) { record.status = plan.status; });
  }
  for (const Event& event : plan.events) {
    deps_.events.Record({.api_version = k8s::kApiVersion, .kind = k8s::kImportKind, .key = meta.key(), .uid = meta.uid},
                        {.warning = event.warning, .reason = event.reason, .action = "Reconcile", .note = event.note});
    k8s::Log(event.warning ? k8s::LogLevel::kWarn : k8s::LogLevel::kInfo, event.reason,
             {{"import", k8s::ToString(meta.key())}, {"note", event.note}});
  }
  return plan.back_off ? secret_written : absl::OkStatus();
}

absl::Status Reconciler::ApplySecret(const Observed& observed, const Plan& plan) {
  const k8s::ObjectMeta& meta = observed.import.meta;
  std::string uid = observed.secret ? observed.secret->meta.uid : "";
  const bool immutable = observed.secret && observed.secret->immutable;
  if (immutable) {
    // Somebody made it so, and the API server lets nobody change it any more, only delete it.
    if (absl::Status status = deps_.target.Delete(k8s::kSecrets, observed.secret->meta.key(), uid); !status.ok())
      return status;
    uid.clear();
  }
  absl::StatusOr<k8s::Json> written = k8s::Json(k8s::JsonObject());
  if (plan.action == Plan::Action::kRevoke) {
    // A merge patch, because an apply would leave a key that somebody else has written too.
    k8s::JsonObject data;
    for (const char* key : k8s::kCredentialKeys) data[key] = nullptr;
    if (!immutable) {
      written = deps_.target.MergePatch(
          k8s::kSecrets, observed.secret->meta.key(),
          k8s::JsonObject{{"metadata", k8s::JsonObject{{"uid", uid}}}, {"data", std::move(data)}});
    }
  } else {
    const k8s::ImportRef ref{.namespace_name = meta.namespace_name, .name = meta.name, .uid = meta.uid};
    const k8s::Json secret = k8s::BuildSecret(ref, plan.secret_data, uid);
    // A new one is created: an apply would take over what somebody else made meanwhile, and costs the API server more.
    written = uid.empty() ? deps_.target.Create(k8s::kSecrets, meta.namespace_name, secret)
                          : deps_.target.Apply(k8s::kSecrets, secret, k8s::kFieldManager);
  }
  if (!written.ok()) return written.status();
  if (plan.action == Plan::Action::kRevoke) {
    k8s::Audit("TokenRevoked", {{"import", k8s::ToString(meta.key())},
                                {"importUid", meta.uid},
                                {"tokenId", observed.token ? observed.token->token_id : ""}});
  }
  const std::string version = k8s::StringAt(*written, {"metadata", "resourceVersion"});
  // The token's id at once: should the status not be written, the token is not taken for another's.
  UpdateWritten(observed.import, [&](Written& record) {
    record.secret_version = version;
    record.secret_refused = false;
    record.status.token_id = plan.status.token_id;
  });
  if (observed.is_source_credential && plan.action == Plan::Action::kRewrite)
    RegisterSource(observed, plan.secret_data);
  const std::vector<std::string>& before = observed.import.status.secret_names;
  if (!before.empty() && before != plan.status.secret_names) DeletePredecessorSecrets(observed.import);
  return absl::OkStatus();
}

void Reconciler::DeletePredecessorSecrets(const k8s::ServiceAccountImport& import) {
  const k8s::ObjectMeta& meta = import.meta;
  absl::StatusOr<k8s::ObjectList> secrets =
      deps_.target.List(k8s::kSecrets, meta.namespace_name,
                        {.label_selector = absl::StrCat(k8s::kImportNameKey, "=", meta.name), .metadata_only = true});
  if (!secrets.ok()) return;  // nothing depends on it
  for (const k8s::Json& item : secrets->items) {
    const k8s::ObjectMeta secret = k8s::ParseObjectMeta(item);
    const bool owned = std::any_of(secret.owners.begin(), secret.owners.end(),
                                   [&](const k8s::OwnerReference& owner) { return owner.uid == meta.uid; });
    if (!owned || secret.name == k8s::SecretName(meta.name, meta.uid)) continue;
    const absl::Status deleted = deps_.target.Delete(k8s::kSecrets, secret.key(), secret.uid);
    k8s::Log(k8s::LogLevel::kInfo, "deleted a Secret of the predecessor",
             {{"import", k8s::ToString(meta.key())}, {"secret", secret.name}, {"error", Text(deleted)}});
  }
}

// What the broker reaches a source with: its own Secret, or before it has one that a source's admin handed over, the
// output of kubemcsa export under the name of the source.
std::map<std::string, k8s::SecretString> Reconciler::SourceCredential(const Observed& observed) const {
  if (observed.secret && observed.secret->data.contains(k8s::kTokenKey)) return observed.secret->data;
  const absl::StatusOr<k8s::Json> handed_over = deps_.target.Get(k8s::kSecrets, observed.import.meta.key());
  if (handed_over.ok()) return k8s::ParseSecretData(*handed_over);
  return observed.secret ? observed.secret->data : std::map<std::string, k8s::SecretString>();
}

void Reconciler::RegisterSource(const Observed& observed, const std::map<std::string, k8s::SecretString>& data) {
  // Here, where every replica comes by with each new credential: one that mints no more would tell of its last for
  // ever.
  if (const auto token = data.find(k8s::kTokenKey); token != data.end()) {
    if (const auto parsed = k8s::ParseBoundToken(token->second); parsed.ok()) {
      deps_.metrics.SetSourceCredentialEnd(observed.import.spec.cluster_name, parsed->expires_at);
    }
  }
  if (data.empty()) {
    deps_.sources.Set(observed.import.spec.cluster_name, absl::FailedPreconditionError("it has no Secret yet"));
  } else {
    deps_.sources.Set(observed.import.spec.cluster_name, AccessFromSecretData(data));
  }
  // Whoever deleted the import meanwhile removed the source before it was set here, so it is done again.
  const k8s::ServiceAccountImport& import = observed.import;
  const auto current = deps_.imports.Get(import.meta.key());
  if (current == nullptr || current->meta.uid != import.meta.uid ||
      current->spec.cluster_name != import.spec.cluster_name) {
    deps_.sources.Remove(import.spec.cluster_name);
    deps_.metrics.RemoveSource(import.spec.cluster_name);
  }
}

bool Reconciler::WroteIt(const std::string& import_uid, const std::string& secret_resource_version) const {
  const std::optional<Written> written = FindWritten(import_uid);
  return written && written->secret_version == secret_resource_version;
}

void Reconciler::Forget(const k8s::ObjectKey& key) {
  std::lock_guard lock(mu_);
  if (const auto uid = uids_.extract(key)) written_.erase(uid.mapped());
}

void Reconciler::Reset() {
  std::lock_guard lock(mu_);
  written_.clear();
  uids_.clear();
}

std::optional<Reconciler::Written> Reconciler::FindWritten(const std::string& uid) const {
  std::lock_guard lock(mu_);
  const auto found = written_.find(uid);
  return found == written_.end() ? std::nullopt : std::optional(found->second);
}

void Reconciler::UpdateWritten(const k8s::ServiceAccountImport& import, const std::function<void(Written&)>& change) {
  std::lock_guard lock(mu_);
  const auto [written, inserted] = written_.try_emplace(import.meta.uid);
  if (inserted) written->second.status = import.status;
  std::string& uid = uids_[import.meta.key()];
  if (uid != import.meta.uid) written_.erase(std::exchange(uid, import.meta.uid));  // made again under its name
  change(written->second);
}

}  // namespace broker
