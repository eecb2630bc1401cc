// The exec plugin of the merged kubeconfig: prints the token of one import for a Kubernetes client. Clients run it for
// as many calls as they like, and some mix standard error into what they parse: it is small, starts nothing, and is
// silent unless it fails.

#include <absl/strings/str_cat.h>
#include <stdio.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "client/credential/exec_credential.h"
#include "k8s/api/read_file.h"
#include "k8s/core/names.h"
#include "k8s/core/service_account_import.h"
#include "k8s/core/version.h"

namespace {

constexpr char kHelp[] =
    "Prints the credential of a ServiceAccountImport for a Kubernetes client, as its exec plugin\n"
    "(client.authentication.k8s.io/v1). The sidecar keeps the token that it reads fresh.\n"
    "\n"
    "Usage: mcsa-credential IMPORT [DIRECTORY]\n"
    "\n"
    "DIRECTORY holds a folder for each import; default /var/run/multicluster-service-account/imports.\n"
    "Exit status: 0 printed, 1 there is no credential, 2 wrong command line.\n"
    "\n"
    "Example: mcsa-credential reports\n";

int Fail(int status, std::string_view reason) {
  const std::string line = absl::StrCat("mcsa-credential: ", std::string(reason), "\n");
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
  return status;
}

int Print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0) return Fail(1, "cannot write to standard output");
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string import = argc > 1 ? argv[1] : "";
  if (import == "--help") return Print(kHelp);
  if (import == "--version") return Print(absl::StrCat(k8s::kVersion, "\n"));
  if (argc < 2 || argc > 3) return Fail(2, "one import is expected; see mcsa-credential --help");
  if (!k8s::IsDnsSubdomain(import)) return Fail(2, absl::StrCat("\"", import, "\" cannot be the name of an import"));
  const std::string directory = argc > 2 ? argv[2] : absl::StrCat(k8s::kSidecarDirectory, "/imports");

  const std::string path = absl::StrCat(directory, "/", import, "/", k8s::kTokenKey);
  const absl::StatusOr<k8s::SecretString> token = k8s::ReadFile(path);
  if (absl::IsNotFound(token.status())) {
    return Fail(1, absl::StrCat("import \"", import, "\" has no token: it is not of this pod, or was revoked; see ",
                                "kubectl describe serviceaccountimport ", import));
  }
  if (!token.ok()) return Fail(1, std::string(token.status().message()));
  const absl::StatusOr<k8s::SecretString> line = credential::BuildExecCredential(*token);
  if (!line.ok()) return Fail(1, absl::StrCat("import \"", import, "\": ", std::string(line.status().message())));
  return Print(line->Reveal());
}
