// Holds many WatchConfigs streams, each on a connection of its own as a sidecar has it, and opens those that end again
// at the next address. Prints a JSON line whenever something changed, at most ten a second, until it is killed:
//   {"time": 1795552617.123, "open": 1000, "ended": 12, "messages": 1000, "latest": 998}
// open: streams that the server answered; ended: in all so far; latest: streams whose last message holds the newest
// token.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "mcsa/v1/config_service.grpc.pb.h"

namespace {

using mcsa::v1::ConfigService;

constexpr char kServerName[] = "service-account-import-controller.multicluster-service-account.svc";

// How many may be on their way at first: what a server cannot answer in time comes again, and costs it once more.
constexpr size_t kOpening = 1000;

struct Options {
  std::vector<std::string> addresses;
  std::string ca_file;
  std::string tokens_file;
  std::vector<std::string> imports;
  int count = 1000;
};

struct Counts {
  std::atomic<int> open = 0;
  std::atomic<int> ended = 0;
  std::atomic<int> messages = 0;
  std::mutex mu;
  std::string newest_version;  // guarded by mu
  int64_t newest_issue = 0;    // guarded by mu
  int latest = 0;              // guarded by mu
};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Stream final : public grpc::ClientReadReactor<mcsa::v1::WatchConfigsResponse> {
 public:
  Stream(const Options& options, std::shared_ptr<grpc::ChannelCredentials> credentials, std::string token, int index,
         Counts& counts)
      : options_(options),
        credentials_(std::move(credentials)),
        token_(std::move(token)),
        next_(index),
        counts_(counts) {
    for (const std::string& import : options.imports) request_.add_names(import);
  }

  void Open() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetSslTargetNameOverride(kServerName);
    channel_ =
        grpc::CreateCustomChannel(options_.addresses[next_++ % options_.addresses.size()], credentials_, arguments);
    stub_ = ConfigService::NewStub(channel_);
    context_ = std::make_unique<grpc::ClientContext>();
    context_->AddMetadata("authorization", "Bearer " + token_);
    stub_->async()->WatchConfigs(context_.get(), &request_, this);
    StartRead(&response_);
    StartCall();
  }

  // The broker sends it with the first message, the empty server at once.
  void OnReadInitialMetadataDone(bool ok) override {
    if (ok && !std::exchange(open_, true)) ++counts_.open;
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    ++counts_.messages;
    Compare();
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    if (std::exchange(open_, false)) --counts_.open;
    ++counts_.ended;
    {
      std::lock_guard lock(counts_.mu);
      counts_.latest -= std::exchange(is_latest_, false);
    }
    // Of the many that a stopped replica leaves, the first few tell the rest.
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE || counts_.ended < 5) {
      fprintf(stderr, "%d: %s\n", status.error_code(), status.error_message().c_str());
    }
    ended_.store(true);
  }

  bool TakeEnded() { return ended_.exchange(false); }

 private:
  void Compare() {
    if (response_.imports_size() == 0 || !response_.imports(0).has_config()) return;
    const mcsa::v1::Config& config = response_.imports(0).config();
    std::lock_guard lock(counts_.mu);
    if (config.issued_at().seconds() > counts_.newest_issue) {
      counts_.newest_issue = config.issued_at().seconds();
      counts_.newest_version = config.version();
      counts_.latest = 0;
      ++epoch_now_;
    }
    if (config.version() != counts_.newest_version) return;
    if (epoch_ != epoch_now_) is_latest_ = false;
    epoch_ = epoch_now_;
    if (!std::exchange(is_latest_, true)) ++counts_.latest;
  }

  static inline int epoch_now_ = 0;  // guarded by counts_.mu

  const Options& options_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  const std::string token_;
  size_t next_;
  Counts& counts_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<ConfigService::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  mcsa::v1::WatchConfigsRequest request_;
  mcsa::v1::WatchConfigsResponse response_;
  bool open_ = false;
  bool is_latest_ = false;
  int epoch_ = 0;
  std::atomic<bool> ended_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Holds many streams of the broker's gRPC API.");
  app.add_option("--address", options.addresses, "host:port; several are taken in turn")->required();
  app.add_option("--ca", options.ca_file, "PEM file")->required();
  app.add_option("--tokens", options.tokens_file, "file with a pod's token in each line; used in turn")->required();
  app.add_option("--import", options.imports, "what to watch; default all that the pod may have");
  app.add_option("--count", options.count, "how many streams")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  std::vector<std::string> tokens;
  std::ifstream file(options.tokens_file);
  for (std::string line; std::getline(file, line);) tokens.push_back(line);
  const auto credentials = grpc::SslCredentials({.pem_root_certs = ReadFile(options.ca_file)});
  Counts counts;
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < options.count; ++i) {
    streams.push_back(std::make_unique<Stream>(options, credentials, tokens[i % tokens.size()], i, counts));
  }
  std::string said;
  for (size_t opened = 0;; usleep(20'000)) {
    // Not all at once: the machine has other work, and so have sidecars.
    const size_t most = std::min(streams.size(), static_cast<size_t>(counts.open) + kOpening);
    for (int i = 0; i < 20 && opened < most; ++i) streams[opened++]->Open();
    for (size_t i = 0; i < opened; ++i) {
      if (streams[i]->TakeEnded()) streams[i]->Open();
    }
    int latest;
    {
      std::lock_guard lock(counts.mu);
      latest = counts.latest;
    }
    char text[128];
    snprintf(text, sizeof(text), "\"open\": %d, \"ended\": %d, \"messages\": %d, \"latest\": %d", counts.open.load(),
             counts.ended.load(), counts.messages.load(), latest);
    if (text == said) continue;
    said = text;
    const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    printf("{\"time\": %.3f, %s}\n", now, text);
    fflush(stdout);
  }
}
