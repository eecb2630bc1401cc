#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "client/cli/cli.h"
#include "client/cli/dry_run.h"
#include "client/cli/renewal.h"
#include "client/cli/source_state.h"
#include "k8s/api/token_requester.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"
#include "k8s/core/source_objects.h"
#include "k8s/core/source_trust.h"

namespace cli {
namespace {

constexpr absl::Duration kFirstTokenLife = absl::Hours(1);  // the broker replaces it within seconds
constexpr absl::Duration kFenceTimeout = absl::Seconds(30);
constexpr absl::Duration kNewKindTimeout = absl::Seconds(15);
constexpr absl::Duration kBrokerTimeout = absl::Seconds(30);

struct Flags {
  ClusterPairFlags clusters;
  std::vector<std::string> only, audiences;
  std::string print;
  AddressFlags address;
  bool all = false, audiences_said = false, dry_run = false;
};

k8s::Json BuildSourceImport(const std::string& source_name, const std::string& target_name) {
  return k8s::JsonObject{
      {"apiVersion", k8s::kApiVersion},
      {"kind", k8s::kImportKind},
      {"metadata", k8s::JsonObject{{"name", source_name},
                                   {"namespace", k8s::kBrokerNamespace},
                                   {"labels", k8s::JsonObject{{k8s::kSourceClusterLabel, "true"}}}}},
      {"spec",
       k8s::JsonObject{{"clusterName", source_name}, {"namespace", k8s::kBrokerNamespace}, {"name", target_name}}}};
}

// The policy of samples/policy.yaml: namespace X imports from namespace X.
k8s::Json BuildShippedPolicy() {
  return k8s::JsonObject{
      {"apiVersion", k8s::kApiVersion},
      {"kind", "ServiceAccountImportPolicy"},
      {"metadata", k8s::JsonObject{{"name", "namespace-sameness"}}},
      {"spec", k8s::JsonObject{{"rules", k8s::JsonArray{k8s::JsonObject{{"sameNamespace", true}}}}}}};
}

// How pods of the target reach the source, which may differ from how its admin does.
absl::StatusOr<k8s::RemoteCluster> SourceForPods(const Flags& flags, const Cluster& source) {
  absl::StatusOr<k8s::RemoteCluster> remote = AddressForOthers(source.access, flags.address, /*for_pods=*/true);
  if (!remote.ok()) return remote;
  if (!absl::StartsWith(remote->server, "https://"))
    return absl::InvalidArgumentError("the source's server must be an https URL");
  remote->namespace_name = k8s::kBrokerNamespace;
  return remote;
}

// What the source shall grant, and whether it can fence the broker in.
struct Intent {
  k8s::SourceTrust trust;
  k8s::Fencing fencing;
};

absl::StatusOr<Intent> FindIntent(const Flags& flags, const Cluster& source, const std::string& target_name) {
  absl::StatusOr<k8s::Fencing> fencing = FindFencing(source.client());
  if (!fencing.ok()) return fencing.status();
  absl::StatusOr<std::optional<k8s::SourceTrust>> before = FindTrust(source.client(), target_name);
  if (!before.ok()) return before.status();
  k8s::TrustChange change;
  if (flags.all || !flags.only.empty()) change.only.emplace();
  for (const std::string& text : flags.only) {
    absl::StatusOr<k8s::AccountScope> scope = k8s::ParseAccountScope(text);
    if (!scope.ok()) return scope.status();
    change.only->push_back(*std::move(scope));
  }
  if (flags.audiences_said) change.audiences = flags.audiences;
  k8s::SourceTrust trust = k8s::Change(before->value_or(k8s::SourceTrust{.target_name = target_name}), change);
  if (*fencing == k8s::Fencing::kNone && trust.only.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("source ", source.name, " (Kubernetes ", source.version,
                     ") has no ValidatingAdmissionPolicy to fence the broker in, as 1.30 and newer have; "
                     "say what it may take: --only=NAMESPACE[/NAME],..."));
  }
  return Intent{.trust = std::move(trust), .fencing = *fencing};
}

// Adds the API server's own audiences, and tells what stays from an earlier run because this one did not name it.
void Complete(k8s::SourceTrust& trust, const std::vector<std::string>& own_audiences, const Flags& flags,
              const Cluster& source) {
  for (const std::string& audience : own_audiences) std::erase(trust.audiences, audience);
  if (flags.only.empty() && !trust.only.empty()) {
    Note(absl::StrCat(source.name, ": --only=", absl::StrJoin(k8s::ToStrings(trust.only), ","),
                      " stays; --all lifts it"));
  }
  if (!flags.audiences_said && !trust.audiences.empty()) {
    Note(absl::StrCat(source.name, ": --audience=", absl::StrJoin(trust.audiences, ","),
                      " stays; --audience= drops it"));
  }
  trust.audiences.insert(trust.audiences.begin(), own_audiences.begin(), own_audiences.end());
}

absl::Status ApplyAll(const Cluster& cluster, const std::vector<k8s::Json>& objects) {
  for (const k8s::Json& object : objects) {
    if (absl::Status status = ApplyObject(cluster.client(), object).status(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Asks, as the broker, for a token of its own account that lives a second too long: the one request that only the fence
// refuses and that does no harm if it is not there yet.
bool FenceWorks(const k8s::Client& as_broker, const std::string& target_name) {
  const absl::Status refusal =
      k8s::RequestToken(as_broker, {k8s::kBrokerNamespace, target_name}, {}, absl::Hours(30 * 24) + absl::Seconds(1))
          .status();
  return absl::IsPermissionDenied(refusal) &&
         absl::StrContains(std::string(refusal.message()), "ValidatingAdmissionPolicy");
}

// The source's half. Returns the broker's first token.
absl::StatusOr<k8s::BoundToken> BootstrapSource(const Cluster& source, Intent intent, const Flags& flags) {
  k8s::SourceTrust& trust = intent.trust;
  if (absl::Status status = ApplyAll(source, k8s::BuildSourceIdentity(trust.target_name)); !status.ok()) return status;
  absl::StatusOr<k8s::BoundToken> token =
      k8s::RequestToken(source.client(), {k8s::kBrokerNamespace, trust.target_name}, {}, kFirstTokenLife);
  if (!token.ok()) return token.status();
  // An empty list of audiences got the API server's own: learned here, because it differs from cluster to cluster.
  Complete(trust, token->audiences, flags, source);
  if (absl::Status status = DeleteGrantsBeyond(source.client(), trust); !status.ok()) return status;
  if (intent.fencing == k8s::Fencing::kFence) {
    if (absl::Status status = ApplyAll(source, k8s::BuildFence(trust)); !status.ok()) return status;
    absl::StatusOr<k8s::ClusterConnection> as_broker = ConnectAsBroker(source, token->token);
    if (!as_broker.ok()) return as_broker.status();
    if (!WaitUntil(kFenceTimeout, [&] { return FenceWorks(*as_broker->client, trust.target_name); })) {
      return absl::FailedPreconditionError(
          "the fence does not refuse what it should; no right was granted. Look at: kubectl get "
          "validatingadmissionpolicy " +
          k8s::FenceName(trust.target_name));
    }
    Done(absl::StrCat(source.name, ": the fence stands"));
  }
  // Rights come last: never without the fence.
  if (absl::Status status = ApplyAll(source, k8s::BuildSourceGrants(trust)); !status.ok()) return status;
  Done(absl::StrCat(source.name, ": ServiceAccount ", k8s::kBrokerNamespace, "/", trust.target_name,
                    " may take tokens of ",
                    trust.only.empty() ? "accounts that the fence lets pass" : "the accounts of --only"));
  return token;
}

// The sources that the target knows already. Asked before anything changes: without our CRDs there is nothing to do.
absl::StatusOr<size_t> CountSources(const Cluster& target) {
  absl::StatusOr<k8s::ObjectList> sources;
  // An API server answers 429 for a second or two after it was given a CRD.
  WaitUntil(kNewKindTimeout, [&] {
    sources = target.client().List(k8s::kImports, k8s::kBrokerNamespace, {.label_selector = k8s::kSourceClusterLabel});
    return !absl::IsResourceExhausted(sources.status());
  });
  if (absl::IsNotFound(sources.status())) {
    return absl::NotFoundError(absl::StrCat("multicluster-service-account is not installed in ", target.name, " (",
                                            std::string(sources.status().message()),
                                            "); apply its manifest first, then run this again"));
  }
  if (!sources.ok()) return sources.status();
  return sources->items.size();
}

// Ships the policy with the first source. Later it is the admin's to edit or delete, and stays as it is.
absl::Status CreateShippedPolicy(const Cluster& target) {
  absl::Status created;
  WaitUntil(kNewKindTimeout, [&] {
    created = target.client().Create(k8s::kImportPolicies, "", BuildShippedPolicy()).status();
    return !absl::IsResourceExhausted(created);
  });
  if (absl::IsAlreadyExists(created)) return absl::OkStatus();
  if (created.ok()) Done(absl::StrCat(target.name, ": policy namespace-sameness: a namespace imports from its like"));
  return created;
}

absl::Status BootstrapTarget(const Cluster& target, const Cluster& source, const k8s::RemoteCluster& remote,
                             const k8s::SecretString& token) {
  absl::StatusOr<k8s::Json> import = ApplyObject(target.client(), BuildSourceImport(source.name, target.name));
  if (!import.ok()) return import.status();
  const k8s::ObjectMeta meta = k8s::ParseObjectMeta(*import);
  const k8s::Json secret = k8s::BuildSecret({.namespace_name = meta.namespace_name, .name = meta.name, .uid = meta.uid},
                                            k8s::BuildSecretData(meta.name, remote, token));
  // As the broker's own writes, so that it can remove the keys later.
  absl::StatusOr<k8s::Json> written = target.client().Apply(k8s::kSecrets, secret, k8s::kFieldManager);
  if (!written.ok()) return written.status();
  Done(absl::StrCat(target.name, ": source cluster ", source.name, " is registered"));
  return absl::OkStatus();
}

// Tells whether the broker has taken the credential over, if there is a broker yet. Only a token that the source issued
// to it since says so: the import is Ready as long as any token of before lives, the one from here too.
void TellBroker(const Cluster& target, const Cluster& source) {
  const auto lease = target.client().Get(k8s::kLeases, {k8s::kBrokerNamespace, k8s::kBrokerName});
  if (!lease.ok() || k8s::StringAt(*lease, {"spec", "holderIdentity"}).empty()) {
    Note(absl::StrCat("no broker runs in ", target.name,
                      " yet; it will take over within the hour that the first token lives"));
    return;
  }
  const auto renewed = RequestRenewal(target.client(), {k8s::kBrokerNamespace, source.name}, kBrokerTimeout);
  if (renewed.ok()) {
    Done(absl::StrCat(target.name, ": the broker uses it"));
  } else {
    Note(absl::StrCat("the broker has not taken it over yet: ", std::string(renewed.status().message()),
                      "; see: kubectl -n ", k8s::kBrokerNamespace, " describe sai ", source.name));
  }
}

void PrintList(const std::vector<k8s::Json>& objects) {
  k8s::JsonArray items;
  for (const k8s::Json& object : objects) items.push_back(object);
  std::cout << boost::json::serialize(
                   k8s::JsonObject{{"apiVersion", "v1"}, {"kind", "List"}, {"items", std::move(items)}})
            << "\n";
}

std::vector<k8s::Json> SourceObjects(const Intent& intent) {
  std::vector<k8s::Json> objects = k8s::BuildSourceIdentity(intent.trust.target_name);
  if (intent.fencing == k8s::Fencing::kFence) {
    for (k8s::Json& object : k8s::BuildFence(intent.trust)) objects.push_back(std::move(object));
  }
  for (k8s::Json& object : k8s::BuildSourceGrants(intent.trust)) objects.push_back(std::move(object));
  return objects;
}

// Without a token to learn it from: the API server's audience is its issuer unless its admin set another.
absl::Status CompleteByIssuer(Intent& intent, const Flags& flags, const Cluster& source) {
  absl::StatusOr<k8s::Json> discovery = source.client().GetPath("/.well-known/openid-configuration");
  if (!discovery.ok()) return discovery.status();
  Complete(intent.trust, {k8s::StringAt(*discovery, {"issuer"})}, flags, source);
  return absl::OkStatus();
}

// The source's half as a manifest.
int PrintSource(const Flags& flags) {
  const absl::StatusOr<std::string> target_name = NameOf(flags.clusters.target, "target");
  if (!target_name.ok()) return Fail(target_name.status());
  const absl::StatusOr<Cluster> source = OpenCluster(flags.clusters.source, "source");
  if (!source.ok()) return Fail(source.status());
  absl::StatusOr<Intent> intent = FindIntent(flags, *source, *target_name);
  if (!intent.ok()) return Fail(intent.status());
  if (absl::Status status = CompleteByIssuer(*intent, flags, *source); !status.ok()) return Fail(status);
  absl::StatusOr<std::vector<k8s::Json>> beyond = FindGrantsBeyond(source->client(), intent->trust);
  if (!beyond.ok()) return Fail(beyond.status());
  for (const k8s::Json& grant : *beyond) {
    Note(absl::StrCat(source->name, ": applying this leaves an older grant; delete it: ", Describe(grant)));
  }
  PrintList(SourceObjects(*intent));
  return kExitOk;
}

// The target's half as a manifest; no cluster is asked. Without the shipped policy, which is for the first source only
// and for the admin to edit or delete.
int PrintTarget(const Flags& flags) {
  const absl::StatusOr<std::string> target_name = NameOf(flags.clusters.target, "target");
  if (!target_name.ok()) return Fail(target_name.status());
  const absl::StatusOr<std::string> source_name = NameOf(flags.clusters.source, "source");
  if (!source_name.ok()) return Fail(source_name.status());
  Note(
      "what may be imported is said by policies, of which this holds none; the first source usually comes with "
      "k8s/manifests/samples/policy.yaml");
  PrintList({BuildSourceImport(*source_name, *target_name)});
  return kExitOk;
}

int PrintDryRun(const Flags& flags, const Cluster& target, const Cluster& source, Intent intent, bool first_source) {
  if (absl::Status status = CompleteByIssuer(intent, flags, source); !status.ok()) return Fail(status);
  absl::StatusOr<std::vector<k8s::Json>> beyond = FindGrantsBeyond(source.client(), intent.trust);
  if (!beyond.ok()) return Fail(beyond.status());
  for (const k8s::Json& grant : *beyond) PrintWould(source, "delete", grant);
  if (absl::Status status = DryRun(source, SourceObjects(intent)); !status.ok()) return Fail(status);
  std::vector<k8s::Json> target_objects{BuildSourceImport(source.name, target.name)};
  // It is created only if it is not there; applied, it would change what the admin made of it.
  if (first_source &&
      absl::IsNotFound(target.client().Get(k8s::kImportPolicies, k8s::KeyOf(BuildShippedPolicy())).status())) {
    target_objects.push_back(BuildShippedPolicy());
  }
  if (absl::Status status = DryRun(target, target_objects); !status.ok()) return Fail(status);
  Done("nothing was changed; without --dry-run the source's Secret gets a new token too");
  return kExitOk;
}

int Run(Flags flags) {
  if (absl::Status status = Resolve(flags.clusters); !status.ok()) return Fail(status);
  if (flags.print == "target") return PrintTarget(flags);
  if (flags.print == "source") return PrintSource(flags);
  absl::StatusOr<Cluster> source = OpenCluster(flags.clusters.source, "source");
  if (!source.ok()) return Fail(source.status());
  absl::StatusOr<Cluster> target = OpenCluster(flags.clusters.target, "target");
  if (!target.ok()) return Fail(target.status());
  if (target->access.server == source->access.server && target->access.proxy_url == source->access.proxy_url) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat(target->name, " and ", source->name, " are both ", target->access.server,
                     "; name two clusters, the target first: kubemcsa bootstrap CLUSTER1 CLUSTER2")));
  }
  absl::StatusOr<k8s::RemoteCluster> remote = SourceForPods(flags, *source);
  if (!remote.ok()) return Fail(remote.status());
  absl::StatusOr<Intent> intent = FindIntent(flags, *source, target->name);
  if (!intent.ok()) return Fail(intent.status());
  absl::StatusOr<size_t> sources_before = CountSources(*target);
  if (!sources_before.ok()) return Fail(sources_before.status());
  if (flags.dry_run) return PrintDryRun(flags, *target, *source, *std::move(intent), *sources_before == 0);
  absl::StatusOr<k8s::BoundToken> token = BootstrapSource(*source, *std::move(intent), flags);
  if (!token.ok()) return Fail(token.status());
  if (*sources_before == 0) {
    if (absl::Status status = CreateShippedPolicy(*target); !status.ok()) return Fail(status);
  }
  if (absl::Status status = BootstrapTarget(*target, *source, *remote, token->token); !status.ok()) return Fail(status);
  TellBroker(*target, *source);
  return kExitOk;
}

}  // namespace

void AddBootstrap(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("bootstrap", "let the broker of a target cluster take tokens of a source cluster");
  auto flags = std::make_shared<Flags>();
  AddFlags(*command, flags->clusters);
  CLI::Option* only =
      command->add_option("--only", flags->only, "NAMESPACE[/NAME],...: the only accounts it may take tokens of")
          ->delimiter(',');
  command->add_flag("--all", flags->all, "lift an earlier --only: all accounts that the fence lets pass")
      ->excludes(only);
  CLI::Option* audience =
      command->add_option("--audience", flags->audiences, "further audiences that tokens may be for")
          ->delimiter(',')
          ->expected(0, -1);
  command->add_option("--print", flags->print, "print one half as a manifest, without a token, and change nothing")
      ->check(CLI::IsMember({"source", "target"}));
  AddFlags(*command, flags->address);
  command->add_flag("--dry-run", flags->dry_run,
                    "have the API servers try it, and say what would be created, changed or deleted");
  command->footer("Example: kubemcsa bootstrap cluster1 cluster2 --only=default/pod-lister");
  command->callback([flags, audience, &status] {
    flags->audiences_said = audience->count() > 0;
    status = Run(*flags);
  });
}

}  // namespace cli
