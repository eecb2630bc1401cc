#include <signal.h>

#include <iostream>

#include "client/cli/cli.h"
#include "k8s/api/command_line.h"

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  CLI::App app{"Connects Kubernetes clusters: lets pods of a target cluster use ServiceAccounts of a source cluster.",
               "kubemcsa"};
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
  if (const std::optional<int> done = k8s::ParseCommandLine(app, argc, argv)) return *done;
  if (!std::cout.flush() && status == cli::kExitOk) {
    std::cerr << "the output could not be written whole; free some space, or keep the reader open\n";
    return cli::kExitFailed;
  }
  return status;
}
