// Serves the imports of a directory, laid out like mounted Secrets, as a broker does; looks at it again ten times a
// second. An import without a token is revoked.
//
//   fake-broker HOST:PORT NAME IMPORTS CREDENTIALS
//
// NAME is what its certificate is for. CREDENTIALS holds ca.crt and ca.key, made if they are missing. Prints a line
// when a stream comes with another token than the one before.

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "k8s/api/certificate_authority.h"
#include "k8s/api/mounted_import.h"
#include "k8s/api/read_file.h"
#include "k8s/core/names.h"
#include "k8s/core/remote_config.h"
#include "sidecar/atomic_files.h"
#include "sidecar/testing/fake_broker.h"

namespace {

k8s::CertificateAndKey LoadOrMakeCa(const std::string& directory) {
  const auto certificate = k8s::ReadFile(directory + "/ca.crt");
  const auto key = k8s::ReadFile(directory + "/ca.key");
  if (certificate.ok() && key.ok()) return {.certificate = std::string(certificate->Reveal()), .key = *key};
  const k8s::CertificateAndKey ca = k8s::MakeCa("fake", absl::Hours(24), absl::Now()).value();
  for (const absl::Status& status : {sidecar::WriteFile(directory + "/ca.key", ca.key.Reveal(), 0600),
                                     sidecar::WriteFile(directory + "/ca.crt", ca.certificate, 0644)}) {
    if (!status.ok()) std::cerr << status.message() << std::endl;
  }
  return ca;
}

std::map<std::string, mcsa::v1::ImportState> ReadStates(const std::string& directory) {
  std::map<std::string, mcsa::v1::ImportState> states;
  const absl::StatusOr<std::vector<std::string>> names = k8s::MountedImportNames(directory);
  for (const std::string& name : names.value()) {
    const auto files =
        k8s::ReadMountedImport(directory, name, {k8s::kServerKey, k8s::kCaKey, k8s::kNamespaceKey, k8s::kTokenKey});
    if (!files.ok()) continue;
    mcsa::v1::ImportState& state = states[name];
    state.set_name(name);
    const auto config = k8s::ParseRemoteConfig(name, "east", *files);
    if (config.ok()) {
      k8s::FillConfig(*config, absl::Now() - config->token.issued_at, "it was not renewed", *state.mutable_config());
    } else {
      state.mutable_error()->set_code(mcsa::v1::ImportError::REVOKED);
      state.mutable_error()->set_reason("NotAllowedByPolicy");
      state.mutable_error()->set_message("No policy allows it");
    }
  }
  return states;
}

// Without what changes by itself.
std::string Key(const std::map<std::string, mcsa::v1::ImportState>& states) {
  std::string key;
  for (const auto& [name, state] : states) absl::StrAppend(&key, name, "=", state.config().version(), ";");
  return key;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: fake-broker HOST:PORT NAME IMPORTS CREDENTIALS\n";
    return 2;
  }
  const std::string imports = argv[3];
  sidecar::FakeBroker broker(argv[1], argv[2], LoadOrMakeCa(argv[4]));
  std::cout << "listening " << broker.port() << std::endl;
  std::string key = "nothing", token;
  for (;;) {
    if (const std::string last = broker.last_token(); last != token) {
      token = last;
      std::cout << "a stream with " << token << std::endl;
    }
    auto states = ReadStates(imports);
    if (const std::string now = Key(states); now != key) {
      key = now;
      broker.Set(std::move(states));
    }
    absl::SleepFor(absl::Milliseconds(100));
  }
}
