// Tells of each change of the pod's ServiceAccountImports, as the sidecar pushes it. Ends with standard input.

#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <iostream>
#include <string>

#include "client/cpp/sidecar_client.h"

namespace {

// The token itself is for the API server alone.
void Tell(const std::string& import, const absl::StatusOr<mcsa::ConfigSnapshot>& config) {
  std::cout << absl::FormatTime("%H:%M:%E3S ", absl::Now(), absl::LocalTimeZone()) << import << ": ";
  if (!config.ok()) {
    std::cout << config.status() << std::endl;
    return;
  }
  std::cout << (*config)->server << ", namespace " << (*config)->namespace_name << ", a token of "
            << (*config)->token.size() << " bytes" << std::endl;
}

}  // namespace

int main() {
  mcsa::SidecarOptions options;
  options.on_change = Tell;
  const mcsa::SidecarClient client({}, options);
  for (std::string line; std::getline(std::cin, line);) {
  }
}
