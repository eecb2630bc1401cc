#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <absl/time/clock.h>

#include <fstream>
#include <memory>

#include "bench/broker_bench.h"
#include "bench/broker_under_test.h"
#include "bench/sidecar_under_test.h"
#include "k8s/api/certificate_authority.h"
#include "k8s/api/read_file.h"
#include "sidecar/atomic_files.h"

namespace bench {
namespace {

// As with the sidecars: a server hardly differs from the next, and each takes a thousand handshakes.
constexpr int kServers = 3;
// As many as a large cluster has pods with a sidecar.
constexpr int kManyStreams = 15'000;
constexpr double kTarget = 1.15;
constexpr double kBytesOfMiB = 1 << 20;
constexpr absl::Duration kSettle = absl::Seconds(2);
constexpr absl::Duration kAfter = absl::Seconds(60);

std::string ReadLog(const std::string& path) {
  const auto text = k8s::ReadFile(path);
  return text.ok() ? std::string(text->Reveal()) : "";
}

// tests/load:hold_streams with a stream of each of `count` pods.
class Holder {
 public:
  Holder(const std::string& address, const std::string& ca_file, int count = kStreams) {
    std::ofstream tokens(folder_ / "tokens");
    for (int pod = 1; pod <= count; ++pod) tokens << PodToken(pod) << "\n";
    tokens.close();
    process_ = std::make_unique<Process>(
        std::vector<std::string>{ProgramPath("tests/load/hold_streams"), "--address=" + address, "--ca=" + ca_file,
                                 "--tokens=" + (folder_ / "tokens"), "--import=" + ImportName(0),
                                 absl::StrCat("--count=", count)},
        folder_ / "log");
    const std::string all = absl::StrCat("\"open\": ", count, ",");
    Await("the streams' opening", absl::Seconds(60) * count / kStreams,
          [&] { return ReadLog(folder_ / "log").find(all) != std::string::npos; });
  }

 private:
  const Folder folder_;
  std::unique_ptr<Process> process_;
};

// tests/load:empty_server.
class EmptyServer {
 public:
  EmptyServer() {
    const auto ca = k8s::MakeCa("bench", absl::Hours(24), absl::Now()).value();
    const auto leaf = k8s::SignLeaf(ca.certificate, ca.key, {kServiceName}, absl::Hours(24), absl::Now()).value();
    if (!sidecar::WriteFile(ca_file(), ca.certificate, 0600).ok() ||
        !sidecar::WriteFile(folder_ / "tls.crt", leaf.certificate, 0600).ok() ||
        !sidecar::WriteFile(folder_ / "tls.key", leaf.key.Reveal(), 0600).ok()) {
      Fail("cannot write the certificate of the empty server");
    }
    process_ = std::make_unique<Process>(
        std::vector<std::string>{ProgramPath("tests/load/empty_server"), folder_ / "tls.crt", folder_ / "tls.key"},
        folder_ / "log");
    Await("the empty server's start", absl::Seconds(30), [&] { return !ReadLog(folder_ / "log").empty(); });
  }

  std::string address() const {
    return absl::StrCat("127.0.0.1:", std::string(absl::StripSuffix(ReadLog(folder_ / "log"), "\n")));
  }
  std::string ca_file() const { return folder_ / "ca.crt"; }
  pid_t id() const { return process_->id(); }

 private:
  const Folder folder_;
  std::unique_ptr<Process> process_;
};

double BytesAStream(pid_t server, double before_mib, int count = kStreams) {
  absl::SleepFor(kSettle);
  return (ResidentMiB(server) - before_mib) * kBytesOfMiB / count;
}

double BytesOfAnEmptyStream() {
  const EmptyServer server;
  absl::SleepFor(kSettle);
  const double empty = ResidentMiB(server.id());
  const Holder holder(server.address(), server.ca_file());
  return BytesAStream(server.id(), empty);
}

}  // namespace

std::vector<Result> StreamMemory() {
  std::vector<double> floors, values, before, after;
  for (int i = 0; i < kServers; ++i) floors.push_back(BytesOfAnEmptyStream());
  std::vector<std::unique_ptr<BrokerUnderTest>> brokers;
  for (int i = 0; i < kServers; ++i) {
    const auto& broker = brokers.emplace_back(std::make_unique<BrokerUnderTest>(BrokerUnderTest::Kind::kBroker));
    absl::SleepFor(kSettle);
    before.push_back(ResidentMiB(broker->id()));
    const Holder holder(broker->address(), broker->ca_file());
    values.push_back(BytesAStream(broker->id(), before.back()));
  }
  absl::SleepFor(kAfter);
  for (const auto& broker : brokers) after.push_back(ResidentMiB(broker->id()));
  constexpr double kTargetAfter = 1.5;
  return {
      {.name = "stream-bytes", .value = Median(values), .unit = "bytes", .floor = Median(floors), .target = kTarget},
      {.name = "stream-bytes-after",
       .value = Median(after) * kBytesOfMiB,
       .unit = "bytes",
       .floor = Median(before) * kBytesOfMiB,
       .target = kTargetAfter}};
}

std::vector<Result> ManyStreams() {
  const double floor = BytesOfAnEmptyStream();
  const BrokerUnderTest broker(BrokerUnderTest::Kind::kBroker, kManyStreams);
  absl::SleepFor(kSettle);
  const double before = ResidentMiB(broker.id());
  const Holder holder(broker.address(), broker.ca_file(), kManyStreams);
  return {{.name = "stream-bytes-15000",
           .value = BytesAStream(broker.id(), before, kManyStreams),
           .unit = "bytes",
           .floor = floor,
           .target = kTarget}};
}

}  // namespace bench
