#include "bench/sidecar_under_test.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <filesystem>

#include "k8s/api/read_file.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"
#include "sidecar/atomic_files.h"
#include "sidecar/testing/fake_broker.h"

namespace bench {

namespace fs = std::filesystem;

std::string ProgramPath(const std::string& target) {
  const fs::path bin = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  const fs::path path = bin / target;
  if (!fs::exists(path)) Fail(absl::StrCat(path.string(), " is missing; run tools/bench"));
  return path;
}

std::string ImportName(int number) {
  return absl::StrCat("import", number);
}

SidecarUnderTest::SidecarUnderTest(int imports, const std::string& broker, const std::string& credentials)
    : imports_(imports) {
  const auto ca = k8s::MakeCa("remote", absl::Hours(24), absl::Now());
  std::vector<std::string> command = {ProgramPath("sidecar/mcsa-sidecar"),
                                      "run",
                                      "--broker=" + broker,
                                      "--credentials-directory=" + credentials,
                                      "--directory=" + (folder_ / "run"),
                                      "--secrets-directory=" + (folder_ / "secrets"),
                                      "--plugin=" + ProgramPath("client/credential/mcsa-credential")};
  for (int i = 0; i < imports; ++i) {
    const std::string name = ImportName(i);
    const auto data = k8s::BuildSecretData(
        name, {.server = "https://10.0.0.1:6443", .ca_bundle = ca->certificate, .namespace_name = "default"},
        sidecar::FakeToken(absl::Seconds(10), absl::Hours(1), name));
    if (!sidecar::WriteFiles(folder_ / ("secrets/" + name), data).ok()) Fail("cannot write the imports' Secrets");
    command.push_back("--import=" + name);
  }
  process_ = std::make_unique<Process>(command, folder_ / "log");
}

bool SidecarUnderTest::IsReady() const {
  for (int i = 0; i < imports_; ++i) {
    if (!fs::exists(folder_ / absl::StrCat("run/imports/", ImportName(i), "/token"))) return false;
  }
  return fs::exists(socket());
}

std::string SidecarUnderTest::log() const {
  const auto text = k8s::ReadFile(folder_ / "log");
  return text.ok() ? std::string(text->Reveal()) : "";
}

}  // namespace bench
