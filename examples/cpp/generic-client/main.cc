// Lists the pods of the one cluster that it finds: a mounted ServiceAccountImport, else the kubeconfig's current
// context, else the pod's own cluster.

#include <iostream>

#include "client/cpp/configs.h"
#include "examples/cpp/list_pods.h"

int main() {
  const absl::StatusOr<mcsa::RemoteConfig> config = mcsa::ConfigAndNamespace();
  const absl::Status status = config.ok() ? examples::ListPods(*config, std::cout) : config.status();
  if (status.ok()) return 0;
  std::cerr << status << "\n";
  return 1;
}
