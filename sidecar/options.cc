#include "sidecar/options.h"

#include <CLI/CLI.hpp>

#include "k8s/api/command_line.h"
#include "k8s/core/names.h"
#include "k8s/core/service_account_import.h"

namespace sidecar {
namespace {

constexpr double kCheckTimeoutSeconds = 2;

std::string CheckImport(const std::string& name) {
  return k8s::IsDnsSubdomain(name) ? "" : "\"" + name + "\" is no DNS-1123 subdomain, so it names no import";
}

std::string CheckAddress(const std::string& address) {
  return address.rfind(':') == std::string::npos ? "host:port is expected" : "";
}

}  // namespace

std::optional<int> ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app{
      "Keeps the credentials of a pod's ServiceAccountImports fresh: as files, and on a Unix socket (gRPC).\n"
      "The webhook injects it; nobody need start it by hand.\n\n"
      "Example: mcsa-sidecar run --import=reports --import=billing\n"
      "Exit status: 0 done, 1 failed, 2 wrong command line.\n",
      "mcsa-sidecar"};
  app.require_subcommand(1);
  options.directory = k8s::kSidecarDirectory;
  options.secrets_directory = k8s::kImportsDirectory;
  options.credentials_directory = "/var/run/secrets/kubernetes.io/serviceaccount";
  options.broker = std::string(k8s::kBrokerName) + "." + k8s::kBrokerNamespace + ".svc:9443";
  options.plugin = "/mcsa-credential";
  double wait_seconds = 0;
  double check_seconds = kCheckTimeoutSeconds;
  const auto add_directory = [&](CLI::App* command) {
    command->add_option("--directory", options.directory, "of the socket, the merged kubeconfig and the imports")
        ->capture_default_str();
  };

  CLI::App* run = app.add_subcommand("run", "serves the imports until it is told to end");
  run->add_option("--import", options.imports, "an import of the pod; once for each")
      ->required()
      ->check(CLI::Validator(CheckImport, "NAME"));
  run->add_option("--broker", options.broker, "host:port of the broker's gRPC API; each address is a replica")
      ->check(CLI::Validator(CheckAddress, "HOST:PORT"))
      ->capture_default_str();
  add_directory(run);
  run->add_option("--secrets-directory", options.secrets_directory, "with each import's Secret, if it is mounted")
      ->capture_default_str();
  run->add_option("--credentials-directory", options.credentials_directory,
                  "with the pod's token for the broker and the broker's CA")
      ->capture_default_str();
  run->add_option("--plugin", options.plugin, "the exec plugin, copied to where apps find it")->capture_default_str();
  k8s::AddLogLevel(*run, options.log_level);

  CLI::App* wait =
      app.add_subcommand("wait", "returns when each import has its files: the gate before the pod's start");
  add_directory(wait);
  wait->add_option("--timeout", wait_seconds, "seconds after which it fails; default never")
      ->check(CLI::PositiveNumber);

  CLI::App* check = app.add_subcommand("check", "fails unless a sidecar answers on the socket: the liveness probe");
  add_directory(check);
  check->add_option("--timeout", check_seconds, "seconds")->check(CLI::PositiveNumber)->capture_default_str();

  if (const std::optional<int> status = k8s::ParseCommandLine(app, argc, argv)) return status;
  if (wait->parsed()) {
    options.command = Options::Command::kWait;
    if (wait_seconds > 0) options.timeout = absl::Seconds(wait_seconds);
  } else if (check->parsed()) {
    options.command = Options::Command::kCheck;
    options.timeout = absl::Seconds(check_seconds);
  }
  return std::nullopt;
}

}  // namespace sidecar
