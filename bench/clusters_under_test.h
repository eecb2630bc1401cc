#ifndef BENCH_CLUSTERS_UNDER_TEST_H_
#define BENCH_CLUSTERS_UNDER_TEST_H_

#include <cstdio>
#include <memory>
#include <string>

#include "bench/measure.h"
#include "k8s/api/cluster_connection.h"
#include "k8s/core/kubeconfig.h"
#include "k8s/core/object.h"

namespace bench {

// Where imports are measured, and what they are of. The namespace's name is the same in both clusters.
inline constexpr char kTargetNamespace[] = "default";
inline constexpr char kSourceCluster[] = "cluster2";
inline constexpr char kSourceAccount[] = "pod-lister";

// A target and a source with real API servers, as kubemcsa bootstrap connects them. They end with the object, and if
// this program is killed.
class ClustersUnderTest {
 public:
  ClustersUnderTest();
  ~ClustersUnderTest();
  ClustersUnderTest(const ClustersUnderTest&) = delete;
  ClustersUnderTest& operator=(const ClustersUnderTest&) = delete;

  const k8s::Client& admin() const { return *admin_.client; }    // of the target
  const k8s::Client& target() const { return *target_.client; }  // as the broker, with its rights alone
  const k8s::Client& source() const { return *source_.client; }  // as the broker
  const k8s::ClusterAccess& source_access() const { return source_access_; }

  // A new mcsa-broker with the flags it is shipped with.
  std::unique_ptr<Process> StartBroker() const;

 private:
  const Folder folder_;
  FILE* const script_;  // clusters.sh, by its input
  k8s::ClusterConnection admin_, target_, source_;
  k8s::ClusterAccess source_access_;
};

}  // namespace bench

#endif  // BENCH_CLUSTERS_UNDER_TEST_H_
