#include "k8s/api/credential_source.h"

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "k8s/api/environment.h"
#include "k8s/api/read_file.h"
#include "k8s/core/json.h"

namespace k8s {
namespace {

constexpr absl::Duration kExpiryMargin = absl::Minutes(1);
constexpr size_t kMaxExecOutput = 1 << 20;

class Static final : public CredentialSource {
 public:
  explicit Static(SecretString authorization) : authorization_(std::move(authorization)) {}
  absl::StatusOr<SecretString> Authorization() override { return authorization_; }

 private:
  const SecretString authorization_;
};

class TokenFile final : public CredentialSource {
 public:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<SecretString> Authorization() override {
    std::lock_guard lock(mu_);
    if (const FileStamp stamp = StampOf(path_); stamp != stamp_ || authorization_.empty()) Read(stamp);
    if (authorization_.empty()) return absl::UnauthenticatedError(absl::StrCat("cannot read a token from ", path_));
    return authorization_;
  }

  bool Invalidate() override {
    std::lock_guard lock(mu_);
    return StampOf(path_) != stamp_;
  }

 private:
  void Read(const FileStamp& stamp) {
    const absl::StatusOr<SecretString> content = ReadFile(path_);
    if (!content.ok()) return;
    const absl::string_view token = absl::StripAsciiWhitespace({content->Reveal().data(), content->size()});
    if (token.empty()) return;
    authorization_ = BearerAuthorization(SecretString({token.data(), token.size()}));
    stamp_ = stamp;  // taken before reading, so that a change meanwhile is seen the next time
  }

  const std::string path_;
  std::mutex mu_;
  SecretString authorization_;
  FileStamp stamp_;
};

class Exec final : public CredentialSource {
 public:
  Exec(ExecPlugin plugin, ExecCredential first, const Clock& clock)
      : plugin_(std::move(plugin)),
        credential_(std::move(first)),
        renew_at_(RenewAt(*credential_, clock.Now())),
        clock_(clock) {}

  absl::StatusOr<SecretString> Authorization() override {
    std::lock_guard lock(mu_);
    if (const absl::Time now = clock_.Now(); !credential_ || now >= renew_at_) {
      absl::StatusOr<ExecCredential> fresh = RunExecPlugin(plugin_);
      if (fresh.ok()) {
        credential_ = *std::move(fresh);
        renew_at_ = RenewAt(*credential_, now);
      } else if (!credential_ || now >= credential_->expires_at) {
        return fresh.status();
      }
    }
    return credential_->token.empty() ? SecretString() : BearerAuthorization(credential_->token);
  }

  bool Invalidate() override {
    std::lock_guard lock(mu_);
    credential_.reset();
    return true;
  }

 private:
  const ExecPlugin plugin_;
  std::mutex mu_;
  std::optional<ExecCredential> credential_;
  absl::Time renew_at_;
  const Clock& clock_;
};

// Reads all that `pid` writes to `fd`, and waits for its end. Kills it after `timeout`, also if it has closed `fd`.
absl::StatusOr<std::string> CollectOutput(pid_t pid, int fd, absl::Duration timeout) {
  const int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));  // readable once it has ended
  pollfd watched[] = {{.fd = process, .events = POLLIN, .revents = 0}, {.fd = fd, .events = POLLIN, .revents = 0}};
  const absl::Duration deadline = SystemClock().Monotonic() + timeout;
  std::string output;
  std::string error;
  char buffer[4096];
  while (error.empty()) {
    const absl::Duration left = std::max(deadline - SystemClock().Monotonic(), absl::ZeroDuration());
    const int ready = poll(watched, 2, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      error = absl::StrCat("did not end within ", absl::FormatDuration(timeout));
    } else if (watched[1].revents != 0) {
      const ssize_t got = read(fd, buffer, sizeof(buffer));
      if (got <= 0) {
        watched[1].fd = -1;      // it says no more
        if (process < 0) break;  // before Linux 5.3 we wait for its end without a limit
      } else {
        output.append(buffer, got);
      }
      if (output.size() > kMaxExecOutput) error = "printed more than 1 MiB";
    } else if (watched[0].revents != 0) {
      break;  // what it wrote before its end is read by now
    }
  }
  if (process >= 0) close(process);
  if (!error.empty()) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (error.empty() && WIFSIGNALED(status)) error = absl::StrCat("was ended by signal ", WTERMSIG(status));
  if (error.empty() && WEXITSTATUS(status) != 0) error = absl::StrCat("exited with status ", WEXITSTATUS(status));
  if (!error.empty()) return absl::UnauthenticatedError(error);
  return output;
}

JsonObject ExecInfo(const ExecPlugin& plugin) {
  JsonObject spec{{"interactive", false}};
  if (!plugin.cluster_info.empty()) spec["cluster"] = boost::json::parse(plugin.cluster_info);
  return {{"apiVersion", plugin.api_version.empty() ? "client.authentication.k8s.io/v1" : plugin.api_version},
          {"kind", "ExecCredential"},
          {"spec", std::move(spec)}};
}

// spec.cluster, which some plugins choose their answer by. Without `config`: none that we know needs it.
absl::StatusOr<std::string> ClusterInfo(const ClusterAccess& access) {
  const absl::StatusOr<std::string> ca = CaBundleOf(access);
  if (!ca.ok()) return ca.status();
  return boost::json::serialize(JsonObject{{"server", access.server},
                                           {"tls-server-name", access.tls_server_name},
                                           {"insecure-skip-tls-verify", access.insecure_skip_tls_verify},
                                           {"certificate-authority-data", absl::Base64Escape(*ca)},
                                           {"proxy-url", access.proxy_url}});
}

}  // namespace

std::unique_ptr<CredentialSource> StaticCredential(SecretString authorization) {
  return std::make_unique<Static>(std::move(authorization));
}

SecretString BearerAuthorization(const SecretString& token) {
  return SecretString(std::string("Bearer ").append(token.Reveal()));
}

SecretString BasicAuthorization(const std::string& username, const SecretString& password) {
  return SecretString(
      absl::StrCat("Basic ", absl::Base64Escape(std::string(username).append(":").append(password.Reveal()))));
}

std::unique_ptr<CredentialSource> TokenFileCredential(std::string path) {
  return std::make_unique<TokenFile>(std::move(path));
}

absl::Time RenewAt(const ExecCredential& credential, absl::Time now) {
  return credential.expires_at -
         std::min(kExpiryMargin, std::max(absl::ZeroDuration(), credential.expires_at - now) / 2);
}

absl::StatusOr<ExecCredential> ParseExecCredential(std::string_view output) {
  absl::StatusOr<Json> json = ParseJson(output);
  if (!json.ok() || StringAt(*json, {"kind"}) != "ExecCredential") {
    return absl::UnauthenticatedError("printed no ExecCredential");
  }
  ExecCredential credential;
  credential.token = SecretString(StringAt(*json, {"status", "token"}));
  credential.client_certificate = StringAt(*json, {"status", "clientCertificateData"});
  credential.client_key = SecretString(StringAt(*json, {"status", "clientKeyData"}));
  if (const absl::Time end = TimeAt(*json, {"status", "expirationTimestamp"}); end != absl::InfinitePast()) {
    credential.expires_at = end;
  }
  if (credential.token.empty() && credential.client_certificate.empty()) {
    return absl::UnauthenticatedError("printed an ExecCredential without token and certificate");
  }
  return credential;
}

absl::StatusOr<ExecCredential> RunExecPlugin(const ExecPlugin& plugin, absl::Duration timeout) {
  const auto fail = [&](const std::string& what) {
    return absl::UnauthenticatedError(absl::StrCat("exec plugin ", plugin.command, " ", what,
                                                   plugin.install_hint.empty() ? "" : "; ", plugin.install_hint));
  };
  Environment environment = Environment::OfThisProcess();
  environment.variables["KUBERNETES_EXEC_INFO"] = boost::json::serialize(ExecInfo(plugin));
  for (const auto& [name, value] : plugin.env) environment.variables[name] = value;
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment.variables) variables.push_back(absl::StrCat(name, "=", value));

  std::vector<char*> argv{const_cast<char*>(plugin.command.c_str())};
  for (const std::string& arg : plugin.args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (const std::string& variable : variables) envp.push_back(const_cast<char*>(variable.c_str()));
  envp.push_back(nullptr);

  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return fail("could not be started: no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  // What we block and ignore for ourselves is nothing to the plugin.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int spawned = posix_spawnp(&pid, plugin.command.c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_fds[1]);
  absl::StatusOr<std::string> output =
      spawned == 0 ? CollectOutput(pid, pipe_fds[0], timeout)
                   : absl::UnauthenticatedError(absl::StrCat("could not be started: ", strerror(spawned)));
  close(pipe_fds[0]);
  if (!output.ok()) return fail(std::string(output.status().message()));
  absl::StatusOr<ExecCredential> credential = ParseExecCredential(*output);
  if (!credential.ok()) return fail(std::string(credential.status().message()));
  return credential;
}

std::unique_ptr<CredentialSource> ExecPluginCredential(ExecPlugin plugin, ExecCredential first, const Clock& clock) {
  return std::make_unique<Exec>(std::move(plugin), std::move(first), clock);
}

absl::StatusOr<std::string> CaBundleOf(const ClusterAccess& access) {
  if (!access.ca_data.empty() || access.ca_file.empty()) return access.ca_data;
  absl::StatusOr<SecretString> content = ReadFile(access.ca_file);
  if (!content.ok()) return content.status();
  return std::string(content->Reveal());
}

absl::StatusOr<std::optional<ExecPlugin>> ExecPluginOf(const ClusterAccess& access) {
  if (!access.exec || !access.token_file.empty() || !access.token.empty() || !access.username.empty()) {
    return std::nullopt;
  }
  ExecPlugin plugin = *access.exec;
  if (plugin.provide_cluster_info) {
    absl::StatusOr<std::string> info = ClusterInfo(access);
    if (!info.ok()) return info.status();
    plugin.cluster_info = *std::move(info);
  }
  return plugin;
}

absl::StatusOr<ClientCredentials> CredentialsOf(const ClusterAccess& access) {
  ClientCredentials credentials{.certificate = access.client_certificate_data, .key = access.client_key_data};
  if (credentials.certificate.empty() && !access.client_certificate_file.empty()) {
    absl::StatusOr<SecretString> certificate = ReadFile(access.client_certificate_file);
    if (!certificate.ok()) return certificate.status();
    credentials.certificate = certificate->Reveal();
  }
  if (credentials.key.empty() && !access.client_key_file.empty()) {
    absl::StatusOr<SecretString> key = ReadFile(access.client_key_file);
    if (!key.ok()) return key.status();
    credentials.key = *std::move(key);
  }
  if (!access.token_file.empty()) {
    credentials.authorization = TokenFileCredential(access.token_file);
  } else if (!access.token.empty()) {
    credentials.authorization = StaticCredential(BearerAuthorization(access.token));
  } else if (!access.username.empty()) {
    credentials.authorization = StaticCredential(BasicAuthorization(access.username, access.password));
  } else if (access.exec) {
    absl::StatusOr<std::optional<ExecPlugin>> plugin = ExecPluginOf(access);
    if (!plugin.ok()) return plugin.status();
    absl::StatusOr<ExecCredential> first = RunExecPlugin(**plugin);
    if (!first.ok()) return first.status();
    if (!first->client_certificate.empty()) {
      credentials.certificate = first->client_certificate;
      credentials.key = first->client_key;
    }
    credentials.authorization = ExecPluginCredential(**std::move(plugin), *std::move(first), SystemClock());
  } else {
    credentials.authorization = StaticCredential(SecretString());
  }
  return credentials;
}

}  // namespace k8s
