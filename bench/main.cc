// Measures what we promise. Run by tools/bench.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "bench/broker_bench.h"
#include "bench/broker_under_test.h"
#include "bench/import_bench.h"
#include "bench/measure.h"
#include "bench/sidecar_bench.h"
#include "bench/webhook_bench.h"
#include "k8s/api/command_line.h"
#include "k8s/api/lock_checks.h"

namespace {

struct Benchmark {
  std::vector<std::string> names;  // of the numbers that one run gives
  std::function<std::vector<bench::Result>()> run;
  bool is_long = false;  // minutes: only by its names
};

std::optional<bench::Webhook> peer;

const Benchmark kBenchmarks[] = {
    {{"getconfig-p50", "getconfig-p99"}, bench::GetConfigLatency},
    {{"sidecar-rss-idle", "sidecar-rss-loaded"}, bench::SidecarMemory},
    {{"sidecar-ready"}, bench::SidecarReady},
    {{"propagation-1000-p99"}, bench::Propagation},
    {{"fanout-1000-p99", "fanout-1000-ratio"}, bench::FanOut},
    {{"stream-bytes", "stream-bytes-after"}, bench::StreamMemory},
    {{"stream-bytes-15000"}, bench::ManyStreams, /*is_long=*/true},
    {{"import-ready"}, bench::ImportReady},
    {{"imports-10000-ready", "imports-10000-rss"}, bench::ManyImports, /*is_long=*/true},
    {{"admission-p99", "admission-cpu", "admission-cpu-peer"}, [] { return bench::Admission(peer); }},
};

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);    // as our programs do
  k8s::SkipLockOrderChecks();  // in what we serve and in its floors alike
  CLI::App app{
      "Measures, each number with its floor in the same run. Without names, all but those of 10,000 imports\n"
      "and 15,000 streams, which take minutes.\n\n"
      "Example: tools/bench getconfig-p50 sidecar-ready\n"
      "Exit status: 0 all targets reached, 1 some missed, or nothing could be measured; 2 wrong command line.\n",
      "tools/bench"};
  std::vector<std::string> known, wanted;
  for (const Benchmark& benchmark : kBenchmarks)
    known.insert(known.end(), benchmark.names.begin(), benchmark.names.end());
  std::string output = "table", empty_server;
  app.add_option("NAME", wanted, "what to measure")->check(CLI::IsMember(known));
  app.add_option("-o,--output", output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_option("--empty-server", empty_server, "used by itself: be the floor of getconfig on this socket")->group("");
  std::string broker, writer;
  int pods = 0;
  app.add_option("--broker", broker, "used by itself: be the broker of the streams, in this folder")->group("");
  app.add_option("--pods", pods, "used by itself: how many pods that broker knows")->group("");
  app.add_option("--writer", writer, "used by itself: be the floor of the fan-out, in this folder")->group("");
  std::string webhook, empty_webhook;
  app.add_option("--webhook", webhook, "used by itself: be the webhook, and write its port to this file")->group("");
  app.add_option("--empty-webhook", empty_webhook, "used by itself: be its floor")->group("");
  bench::Webhook other;
  app.add_option("--peer", other.url, "https://host:port/path of another webhook, to measure admissions against");
  app.add_option("--peer-process", other.process, "its process id")->check(CLI::PositiveNumber)->needs("--peer");
  app.get_option("--peer")->needs("--peer-process");
  if (const std::optional<int> status = k8s::ParseCommandLine(app, argc, argv)) return *status;
  if (!empty_server.empty()) bench::RunEmptyServer(empty_server);
  if (!broker.empty()) bench::RunBroker(broker, pods);
  if (!writer.empty()) bench::RunWriter(writer);
  if (!webhook.empty()) bench::RunWebhook(webhook, /*empty=*/false);
  if (!empty_webhook.empty()) bench::RunWebhook(empty_webhook, /*empty=*/true);

  if (other.process != 0) peer = other;

  const auto is_wanted = [&](const std::string& name) {
    return std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  };
  if (wanted.empty()) {
    for (const Benchmark& benchmark : kBenchmarks) {
      if (!benchmark.is_long) wanted.insert(wanted.end(), benchmark.names.begin(), benchmark.names.end());
    }
  }
  std::vector<bench::Result> results;
  bool ok = true;
  for (const Benchmark& benchmark : kBenchmarks) {
    if (std::none_of(benchmark.names.begin(), benchmark.names.end(), is_wanted)) continue;
    std::cerr << "measuring " << benchmark.names.front() << " ..." << std::endl;
    for (bench::Result& result : benchmark.run()) {
      if (!is_wanted(result.name)) continue;
      ok &= result.ok();
      results.push_back(std::move(result));
    }
  }
  std::cout << (output == "json" ? bench::ToJson(results) : bench::ToTable(results));
  return ok ? 0 : 1;
}
