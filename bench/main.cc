// Measures what we promise (docs, and design targets in the README of this folder). Run by tools/bench.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "bench/broker_bench.h"
#include "bench/broker_under_test.h"
#include "bench/measure.h"
#include "bench/sidecar_bench.h"
#include "k8s/api/lock_checks.h"

namespace {

struct Benchmark {
  std::vector<std::string> names;  // of the numbers that one run gives
  std::function<std::vector<bench::Result>()> run;
};

const Benchmark kBenchmarks[] = {
    {{"getconfig-p50", "getconfig-p99"}, bench::GetConfigLatency},
    {{"sidecar-rss-idle", "sidecar-rss-loaded"}, bench::SidecarMemory},
    {{"sidecar-ready"}, bench::SidecarReady},
    {{"propagation-1000-p99"}, bench::Propagation},
    {{"fanout-1000-p99", "fanout-1000-ratio"}, bench::FanOut},
    {{"stream-bytes", "stream-bytes-after"}, bench::StreamMemory},
};

}  // namespace

int main(int argc, char** argv) {
  k8s::SkipLockOrderChecks();  // in what we serve and in its floors alike
  CLI::App app{
      "Measures, each number with its floor in the same run. Without names, all.\n\n"
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
  app.add_option("--broker", broker, "used by itself: be the broker of the streams, in this folder")->group("");
  app.add_option("--writer", writer, "used by itself: be the floor of the fan-out, in this folder")->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!empty_server.empty()) bench::RunEmptyServer(empty_server);
  if (!broker.empty()) bench::RunBroker(broker);
  if (!writer.empty()) bench::RunWriter(writer);

  const auto is_wanted = [&](const std::string& name) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  };
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
