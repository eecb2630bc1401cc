#include <signal.h>

#include <iostream>

#include "client/cli/cli.h"
#include "k8s/core/version.h"

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  CLI::App app{"Connects Kubernetes clusters: lets pods of a target cluster use ServiceAccounts of a source cluster.",
               "kubemcsa"};
  app.set_version_flag("--version", k8s::kVersion);
  app.require_subcommand(1);
  app.footer(
      "Example: kubemcsa bootstrap cluster1 cluster2\n"
      "Exit status: 0 done, 1 refused or not found, 2 wrong command line, 3 a cluster cannot be reached.");
  int status = cli::kExitOk;
  cli::AddBootstrap(app, status);
  cli::AddUnbootstrap(app, status);
  cli::AddAllow(app, status);
  cli::AddDeny(app, status);
  cli::AddRenew(app, status);
  cli::AddExport(app, status);
  cli::AddStatus(app, status);
  cli::AddVersion(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cli::kExitOk : cli::kExitUsage;
  }
  if (!std::cout.flush() && status == cli::kExitOk) {
    std::cerr << "the output could not be written whole; free some space, or keep the reader open\n";
    return cli::kExitFailed;
  }
  return status;
}
