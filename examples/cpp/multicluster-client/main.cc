// Lists the pods of every mounted ServiceAccountImport: of the cluster and the namespace that it stands for.

#include <iostream>

#include "client/cpp/configs.h"
#include "examples/cpp/list_pods.h"

int main() {
  const mcsa::NamedConfigs imports = mcsa::AllServiceAccountImportConfigsAndNamespaces();
  bool failed = imports.configs.empty();
  for (const auto& [name, config] : imports.configs) {
    if (const absl::Status status = examples::ListPods(config, std::cout); !status.ok()) {
      std::cerr << name << ": " << status << "\n";
      failed = true;
    }
  }
  for (const auto& [name, error] : imports.errors) {
    std::cerr << name << ": " << error << "\n";
    failed = true;
  }
  if (imports.configs.empty() && imports.errors.empty()) {
    // Its error says where it looked and what to do.
    std::cerr << mcsa::ServiceAccountImportConfigAndNamespace().status() << "\n";
  }
  return failed ? 1 : 0;
}
