#include "bench/import_bench.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <atomic>
#include <functional>
#include <iostream>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "bench/clusters_under_test.h"
#include "broker/plan_import.h"
#include "k8s/api/informer.h"
#include "k8s/api/token_requester.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/service_account_import.h"

namespace bench {
namespace {

constexpr double kTargetRatio = 1.2;
constexpr int kImportsARound = 10;
constexpr int kManyImports = 10'000;
constexpr double kManyTargetMiB = 256;
// How many imports of one source the broker works on at once (kLaneLimit in broker.cc).
constexpr int kConcurrency = 8;
constexpr absl::Duration kLimit = absl::Minutes(10);

// On what is made here: whether the broker is to work on it or BareImport. Of the latter the broker sees no more than
// that nobody knows the source.
constexpr char kLabel[] = "bench";
constexpr char kByBroker[] = "broker", kBare[] = "bare";

k8s::ServiceAccountImport CreateImport(const ClustersUnderTest& clusters, const std::string& label, int number) {
  const k8s::JsonObject metadata{{"name", absl::StrCat(label, "-", number)},
                                 {"labels", k8s::JsonObject{{kLabel, label}}}};
  const k8s::JsonObject spec{{"clusterName", label == kByBroker ? kSourceCluster : "nowhere"},
                             {"namespace", kTargetNamespace},
                             {"name", kSourceAccount}};
  const k8s::Json import = OrFail(clusters.admin().Create(
      k8s::kImports, kTargetNamespace,
      k8s::JsonObject{
          {"apiVersion", k8s::kApiVersion}, {"kind", k8s::kImportKind}, {"metadata", metadata}, {"spec", spec}}));
  return OrFail(k8s::ParseServiceAccountImport(import));
}

// What the broker writes for an import, with the calls that cost the API servers least, under the broker's own
// identity.
void BareImport(const ClustersUnderTest& clusters, const k8s::ServiceAccountImport& import) {
  const auto token =
      k8s::RequestToken(clusters.source(), {import.spec.namespace_name, import.spec.name}, {}, import.spec.expiration);
  broker::Observed observed{.import = import, .now = absl::Now()};
  observed.source = {.server = clusters.source_access().server, .ca_bundle = clusters.source_access().ca_data};
  const broker::Plan plan = broker::PlanAfterMint(observed, OrFail(token));
  const k8s::ObjectMeta& meta = import.meta;
  k8s::Json secret = k8s::BuildSecret({meta.namespace_name, meta.name, meta.uid}, plan.secret_data);
  secret.at("metadata").at("labels") = k8s::JsonObject{{kLabel, kBare}};  // else a broker takes it for its own
  OrFail(clusters.target().Create(k8s::kSecrets, meta.namespace_name, secret));
  OrFail(clusters.target().MergePatch(k8s::kImports, meta.key(), k8s::BuildImportStatus(meta, plan.status), "status"));
}

// Runs `action` for 0 to count - 1, kConcurrency at once.
void InParallel(int count, const std::function<void(int)>& action) {
  std::atomic<int> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kConcurrency; ++i) {
    threads.emplace_back([&] {
      for (int number; (number = next++) < count;) action(number);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Which imports of a label a watch shows as ready, or as looked at by the broker.
class Watch {
 public:
  Watch(const ClustersUnderTest& clusters, const std::string& label)
      : imports_(clusters.admin(), k8s::kImports, kTargetNamespace,
                 {.label_selector = absl::StrCat(kLabel, "=", label)}, &k8s::ParseServiceAccountImport,
                 [this](const k8s::ObjectKey& key, const auto&, const auto& after) {
                   const k8s::Condition* ready = after ? k8s::FindCondition(after->status, "Ready") : nullptr;
                   std::lock_guard lock(mu_);
                   if (ready != nullptr) seen_.insert(key.name);
                   if (ready != nullptr && ready->status) ready_.insert(key.name);
                 }) {
    if (!imports_.WaitForSync(absl::Seconds(30))) Fail("the imports cannot be watched");
  }

  void AwaitReady(int count) const {
    Await("the imports' getting ready", kLimit, [&] {
      std::lock_guard lock(mu_);
      return ready_.size() == static_cast<size_t>(count);
    });
  }
  void AwaitReady(const std::string& name) const {
    Await(name + "'s getting ready", absl::Seconds(60), [&] { return Contains(ready_, name); });
  }
  void AwaitSeen(const std::string& name) const {
    Await("the broker's look at " + name, absl::Seconds(60), [&] { return Contains(seen_, name); });
  }

 private:
  bool Contains(const std::set<std::string>& names, const std::string& name) const {
    std::lock_guard lock(mu_);
    return names.contains(name);
  }

  mutable std::mutex mu_;
  std::set<std::string> seen_, ready_;  // guarded by mu_
  k8s::Informer<k8s::ServiceAccountImport> imports_;
};

void Say(const std::string& step) {
  std::cerr << "  " << step << " ..." << std::endl;
}

// How long BareImport takes for `count` imports from number `first` on. Leaves nothing that a broker would work on.
double BareLoop(const ClustersUnderTest& clusters, int first, int count) {
  Say("a bare loop");
  std::vector<k8s::ServiceAccountImport> imports(count);
  InParallel(count, [&](int i) { imports[i] = CreateImport(clusters, kBare, first + i); });
  const Watch watch(clusters, kBare);  // as with the broker
  const double took = Milliseconds([&] {
    InParallel(count, [&](int i) { BareImport(clusters, imports[i]); });
    watch.AwaitReady(count);
  });
  InParallel(count, [&](int i) {
    const k8s::ObjectMeta& meta = imports[i].meta;
    const k8s::ObjectKey secret{meta.namespace_name, k8s::SecretName(meta.name, meta.uid)};
    // It first, else it is collected as garbage while something is measured.
    absl::Status deleted = clusters.admin().Delete(k8s::kSecrets, secret);
    if (deleted.ok()) deleted = clusters.admin().Delete(k8s::kImports, meta.key());
    if (!deleted.ok()) Fail(std::string(deleted.message()));
  });
  return took;
}

}  // namespace

std::vector<Result> ImportReady() {
  const ClustersUnderTest clusters;
  const auto broker = clusters.StartBroker();
  const Watch ours(clusters, kByBroker), bare(clusters, kBare);
  ours.AwaitReady(CreateImport(clusters, kByBroker, 0).meta.name);
  std::vector<double> values, floors;
  for (int number = 1; number <= kRounds * kImportsARound; ++number) {
    const std::string name = CreateImport(clusters, kByBroker, number).meta.name;
    values.push_back(Milliseconds([&] { ours.AwaitReady(name); }));
    const k8s::ServiceAccountImport import = CreateImport(clusters, kBare, number);
    bare.AwaitSeen(import.meta.name);
    floors.push_back(Milliseconds([&] { BareImport(clusters, import); }));
  }
  return {
      {.name = "import-ready", .value = Median(values), .unit = "ms", .floor = Median(floors), .target = kTargetRatio}};
}

std::vector<Result> ManyImports() {
  const ClustersUnderTest clusters;
  // Half of it before and half after, so that a machine that gets busier hurts both.
  double floor = BareLoop(clusters, 0, kManyImports / 2);
  Say("creating imports");
  InParallel(kManyImports, [&](int number) { CreateImport(clusters, kByBroker, number); });
  const Watch watch(clusters, kByBroker);
  std::unique_ptr<Process> broker;
  Say("the broker");
  const double value = Milliseconds([&] {
    broker = clusters.StartBroker();
    watch.AwaitReady(kManyImports);
  });
  const double peak = PeakResidentMiB(broker->id());
  broker.reset();
  floor += BareLoop(clusters, kManyImports / 2, kManyImports / 2);
  return {{.name = "imports-10000-ready", .value = value, .unit = "ms", .floor = floor, .target = kTargetRatio},
          {.name = "imports-10000-rss", .value = peak, .unit = "MiB", .target = kManyTargetMiB}};
}

}  // namespace bench
