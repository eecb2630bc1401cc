#include "k8s/api/exec_plugin.h"

#include <absl/status/status.h>
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
#include <vector>

#include "k8s/api/clock.h"
#include "k8s/api/environment.h"
#include "k8s/core/json.h"

namespace k8s {
namespace {

constexpr size_t kMaxExecOutput = 1 << 20;

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

}  // namespace

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

}  // namespace k8s
