// Asks the pod's sidecar for each ServiceAccountImport that is named on the command line, then tells of each change of
// any import, as the sidecar pushes it. Ends with standard input.

#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <iostream>
#include <string>

#include "client/cpp/sidecar_client.h"
#include "k8s/core/bound_token.h"

namespace {

// The token itself is for the API server alone; its id is what the cluster's audit log calls it.
void Tell(const std::string& import, const absl::StatusOr<mcsa::ConfigSnapshot>& config) {
  std::cout << absl::FormatTime("%H:%M:%E3S ", absl::Now(), absl::UTCTimeZone()) << import << ": ";
  if (!config.ok()) {
    std::cout << config.status() << std::endl;
    return;
  }
  const k8s::ClusterAccess& access = **config;
  std::cout << access.server << ", namespace " << access.namespace_name << ", a token of " << access.token.size()
            << " bytes";
  if (const auto token = k8s::ParseBoundToken(access.token); token.ok()) std::cout << ", " << token->token_id;
  std::cout << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  mcsa::SidecarOptions options;
  options.on_change = Tell;
  mcsa::SidecarClient client({}, options);
  for (int i = 1; i < argc; ++i) Tell(std::string("GetConfig ") + argv[i], client.GetConfig(argv[i]));
  for (std::string line; std::getline(std::cin, line);) {
  }
}
