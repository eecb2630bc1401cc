#include "broker/source.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <openssl/sha.h>

#include <utility>

#include "k8s/api/log.h"
#include "k8s/api/token_requester.h"
#include "k8s/core/names.h"

namespace broker {
namespace {

// More namespaces than this are not watched one by one; their tokens are reviewed instead.
constexpr size_t kMaxWatchedNamespaces = 50;

std::string Fingerprint(const k8s::ClusterAccess& access) {
  const std::string text = absl::StrCat(access.server, "\n", access.ca_data, "\n", access.ca_file, "\n",
                                        access.token_file, "\n", access.client_certificate_data, "\n") +
                           std::string(access.token.Reveal()) + "\n" + std::string(access.client_key_data.Reveal());
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return std::string(reinterpret_cast<const char*>(digest), sizeof(digest));
}

// Of a source that no import names yet, nothing else would tell.
void LogTurn(const std::string& cluster, const absl::Status& error) {
  if (error.ok()) {
    k8s::Log(k8s::LogLevel::kInfo, "a source can be used again", {{"cluster", cluster}});
  } else {
    k8s::Log(k8s::LogLevel::kWarn, "a source cannot be used; will try again",
             {{"cluster", cluster}, {"error", std::string(error.message())}});
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Source>> Source::Open(const std::string& cluster, const k8s::ClusterAccess& access,
                                                     const k8s::Environment& environment, const k8s::Clock& clock,
                                                     const SourceHooks& hooks) {
  absl::StatusOr<std::string> ca_bundle = k8s::CaBundleOf(access);
  if (!ca_bundle.ok()) return ca_bundle.status();
  absl::StatusOr<k8s::ClusterConnection> connection = k8s::Connect(access, environment);
  if (!connection.ok()) return connection.status();
  return std::unique_ptr<Source>(
      new Source(cluster, access.server, *std::move(ca_bundle), *std::move(connection), clock, hooks));
}

Source::Source(const std::string& cluster, std::string server, std::string ca_bundle, k8s::ClusterConnection connection,
               const k8s::Clock& clock, const SourceHooks& hooks)
    : server_(std::move(server)),
      ca_bundle_(std::move(ca_bundle)),
      connection_(std::move(connection)),
      reachability_(*connection_.transport, clock,
                    [cluster, hooks](const absl::Status& error) {
                      LogTurn(cluster, error);
                      hooks.on_state(cluster);
                    }),
      client_(reachability_),
      accounts_(
          client_, k8s::kServiceAccounts, /*label_selector=*/"", kMaxWatchedNamespaces,
          [cluster, hooks](const k8s::ObjectKey& account, const k8s::ScopedWatch::Pointer& before,
                           const k8s::ScopedWatch::Pointer& after) {
            if (before == nullptr || after == nullptr || before->uid != after->uid) hooks.on_account(cluster, account);
          },
          [cluster, hooks](const std::string&) { hooks.on_state(cluster); }) {}

SourceView Source::View() const {
  const absl::Status error = reachability_.error();
  return {.state = error.ok()                       ? SourceView::State::kReady
                   : absl::IsUnauthenticated(error) ? SourceView::State::kNoCredential
                                                    : SourceView::State::kUnreachable,
          .error = std::string(error.message()),
          .has_answered = reachability_.HasAnswered(),
          .out_of_reach_for = reachability_.OutOfReachFor(),
          .server = server_,
          .ca_bundle = ca_bundle_};
}

AccountView Source::Account(const k8s::ObjectKey& account) {
  // What a broken watch last saw may be old: acting on it could revoke an account that is there again.
  if (accounts_.StateOf(account.namespace_name) != k8s::ScopedWatch::State::kSynced) return {};
  const k8s::ScopedWatch::Pointer meta = accounts_.Get(account);
  if (meta == nullptr) return {.state = AccountView::State::kAbsent};
  return {.state = AccountView::State::kPresent, .uid = meta->uid};
}

absl::StatusOr<k8s::BoundToken> Source::Mint(const k8s::ObjectKey& account, const std::vector<std::string>& audiences,
                                             absl::Duration lifetime) {
  return k8s::RequestToken(client_, account, audiences, lifetime);
}

absl::Status Source::Review(const k8s::SecretString& token) {
  return k8s::ReviewSelf(client_, token).status();
}

void SourceRegistry::Set(const std::string& cluster, const absl::StatusOr<k8s::ClusterAccess>& access, Origin origin) {
  Entry entry{.origin = origin,
              .fingerprint = access.ok() ? Fingerprint(*access) : std::string(access.status().message()),
              .source = access.ok() ? absl::UnavailableError("") : access.status()};
  {
    std::lock_guard lock(mu_);
    const auto existing = entries_.find(cluster);
    if (existing != entries_.end() && existing->second.fingerprint == entry.fingerprint) return;
  }
  if (access.ok()) {
    absl::StatusOr<std::unique_ptr<Source>> opened = Source::Open(cluster, *access, environment_, clock_, hooks_);
    if (opened.ok()) {
      entry.source = Own(*std::move(opened));
    } else {
      entry.source = opened.status();
    }
  }
  {
    std::lock_guard lock(mu_);
    std::swap(entries_.try_emplace(cluster, Entry{.source = absl::UnavailableError("")}).first->second, entry);
  }
  hooks_.on_state(cluster);
}

void SourceRegistry::Remove(const std::string& cluster) {
  std::map<std::string, Entry>::node_type removed;  // let go of outside the lock
  {
    std::lock_guard lock(mu_);
    removed = entries_.extract(cluster);
  }
  if (!removed.empty()) hooks_.on_state(cluster);
}

std::shared_ptr<Source> SourceRegistry::Own(std::unique_ptr<Source> source) {
  std::lock_guard lock(mu_);
  ++living_;
  return {source.release(), [this](Source* last) {
            std::lock_guard lock(mu_);
            ending_.emplace_back(last);
            wake_.notify_all();  // under the lock: without it, the registry may be gone by then
          }};
}

void SourceRegistry::Reap() {
  std::unique_lock lock(mu_);
  while (true) {
    wake_.wait(lock, [this] { return !ending_.empty() || (stopping_ && living_ == 0); });
    if (ending_.empty()) return;
    std::vector<std::unique_ptr<Source>> ending = std::exchange(ending_, {});
    living_ -= ending.size();
    lock.unlock();
    ending.clear();
    lock.lock();
  }
}

void SourceRegistry::Clear() {
  {
    std::map<std::string, Entry> removed;  // let go of outside the lock
    std::lock_guard lock(mu_);
    removed.swap(entries_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (reaper_.joinable()) reaper_.join();
}

std::optional<SourceRegistry::Entry> SourceRegistry::EntryOf(const std::string& cluster) const {
  std::lock_guard lock(mu_);
  const auto entry = entries_.find(cluster);
  if (entry == entries_.end()) return std::nullopt;
  return entry->second;
}

absl::StatusOr<std::shared_ptr<Source>> SourceRegistry::Find(const std::string& cluster) const {
  const std::optional<Entry> entry = EntryOf(cluster);
  if (!entry) return absl::NotFoundError("not registered");
  return entry->source;
}

SourceView SourceRegistry::View(const std::string& cluster) const {
  const std::optional<Entry> entry = EntryOf(cluster);
  if (!entry) return {};
  const absl::StatusOr<std::shared_ptr<Source>>& source = entry->source;
  SourceView view =
      source.ok() ? (*source)->View()
                  : SourceView{.state = SourceView::State::kUnusable, .error = std::string(source.status().message())};
  view.is_context = entry->origin == Origin::kContext;
  return view;
}

std::vector<std::string> SourceRegistry::Names() const {
  std::lock_guard lock(mu_);
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

absl::StatusOr<k8s::ClusterAccess> AccessFromSecretData(const std::map<std::string, k8s::SecretString>& data) {
  const auto text = [&](const char* key) {
    const auto found = data.find(key);
    return found == data.end() ? std::string() : std::string(found->second.Reveal());
  };
  const auto refuse = [](const std::string& what) {
    return absl::FailedPreconditionError(absl::StrCat("its Secret is refused: ", what));
  };
  // Our own Secrets hold nothing but server, CA and token in it; what else is there, somebody else has put there.
  if (const std::string inline_config = text(k8s::kConfigInlineKey); !inline_config.empty()) {
    absl::StatusOr<k8s::Kubeconfig> kubeconfig = k8s::ParseKubeconfig(inline_config, "/");
    if (!kubeconfig.ok()) return refuse(absl::StrCat("config-inline is ", std::string(kubeconfig.status().message())));
    for (const auto& [name, access] : kubeconfig->contexts) {
      if (access.exec) return refuse("config-inline runs an exec plugin");
      if (access.insecure_skip_tls_verify) return refuse("config-inline turns TLS verification off");
      if (!access.ca_file.empty() || !access.token_file.empty() || !access.client_certificate_file.empty() ||
          !access.client_key_file.empty()) {
        return refuse("config-inline names a file");
      }
      if (!access.proxy_url.empty()) return refuse("config-inline names a proxy");
    }
  }
  k8s::ClusterAccess access;
  access.server = text(k8s::kServerKey);
  access.ca_data = text(k8s::kCaKey);
  if (const auto token = data.find(k8s::kTokenKey); token != data.end()) access.token = token->second;
  if (!absl::StartsWith(access.server, "https://")) return refuse("server is no https URL");
  if (access.token.empty()) return refuse("it holds no token");
  return access;
}

}  // namespace broker
