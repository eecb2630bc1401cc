#include "bench/clusters_under_test.h"

#include <absl/strings/str_cat.h>

#include <filesystem>

#include "bench/sidecar_under_test.h"
#include "broker/source.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"

namespace bench {
namespace {

// The first time Kubernetes is built.
constexpr absl::Duration kStartLimit = absl::Minutes(40);

FILE* StartScript(const std::string& folder) {
  FILE* const script = popen(absl::StrCat("bench/clusters.sh ", folder).c_str(), "we");
  if (script == nullptr) Fail("cannot start bench/clusters.sh");
  return script;
}

k8s::ClusterAccess AccessOf(const std::string& kubeconfig, const std::string& context) {
  return OrFail(k8s::SelectContext(OrFail(k8s::LoadKubeconfig(kubeconfig, {})), context));
}

// What the broker reaches the source with.
k8s::ClusterAccess SourceAccess(const k8s::Client& admin) {
  const k8s::Json import = OrFail(admin.Get(k8s::kImports, {k8s::kBrokerNamespace, kSourceCluster}));
  const std::string secret = k8s::SecretName(kSourceCluster, k8s::ParseObjectMeta(import).uid);
  return OrFail(broker::AccessFromSecretData(
      k8s::ParseSecretData(OrFail(admin.Get(k8s::kSecrets, {k8s::kBrokerNamespace, secret})))));
}

}  // namespace

ClustersUnderTest::ClustersUnderTest() : script_(StartScript(folder_ / "")) {
  Await("the clusters' start", kStartLimit, [&] {
    if (std::filesystem::exists(folder_ / "ended")) Fail("the clusters did not start; the reason is above");
    return std::filesystem::exists(folder_ / "ready");
  });
  admin_ = OrFail(k8s::Connect(AccessOf(folder_ / "clusters/kubeconfig", "cluster1"), {}));
  target_ = OrFail(k8s::Connect(AccessOf(folder_ / "broker.kubeconfig", ""), {}));
  source_access_ = SourceAccess(admin());
  source_ = OrFail(k8s::Connect(source_access_, {}));
}

ClustersUnderTest::~ClustersUnderTest() {
  pclose(script_);
}

std::unique_ptr<Process> ClustersUnderTest::StartBroker() const {
  return std::make_unique<Process>(
      std::vector<std::string>{ProgramPath("broker/mcsa-broker"), "--kubeconfig=" + (folder_ / "broker.kubeconfig"),
                               "--metrics-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0"},
      folder_ / "broker.log");
}

}  // namespace bench
