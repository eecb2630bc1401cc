#include "sidecar/testing/fake_broker.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "mcsa/v1/config_service.grpc.pb.h"

namespace sidecar {

k8s::SecretString FakeToken(absl::Duration age, absl::Duration life, const std::string& id) {
  const int64_t issued = absl::ToUnixSeconds(absl::Now() - age);
  const std::string claims =
      absl::StrCat(R"({"iat":)", issued, R"(,"exp":)", issued + absl::ToInt64Seconds(life), R"(,"jti":")", id, R"("})");
  return k8s::SecretString(absl::StrCat("e30.", absl::WebSafeBase64Escape(claims), ".canary"));
}

class FakeBroker::Service : public mcsa::v1::ConfigService::Service {
 public:
  Service(const std::string& address, const std::string& host, const k8s::CertificateAndKey& ca) {
    const k8s::CertificateAndKey leaf =
        k8s::SignLeaf(ca.certificate, ca.key, {host}, absl::Hours(24), absl::Now()).value();
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back({std::string(leaf.key.Reveal()), leaf.certificate});
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::SslServerCredentials(tls), &port_);
    builder.RegisterService(this);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
    server_ = builder.BuildAndStart();
  }

  ~Service() override {
    {
      std::lock_guard lock(mu_);
      stopping_ = true;
    }
    changed_.notify_all();
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
  }

  grpc::Status WatchConfigs(grpc::ServerContext* context, const mcsa::v1::WatchConfigsRequest* request,
                            grpc::ServerWriter<mcsa::v1::WatchConfigsResponse>* writer) override {
    std::unique_lock lock(mu_);
    const auto& metadata = context->client_metadata();
    const auto authorization = metadata.find("authorization");
    last_token_ =
        authorization == metadata.end() ? "" : std::string(authorization->second.data(), authorization->second.size());
    ++streams_;
    changed_.notify_all();
    for (int sent = -1; !stopping_ && !context->IsCancelled();) {
      if (sent == version_) {
        changed_.wait_for(lock, std::chrono::milliseconds(100));
        continue;
      }
      sent = version_;
      mcsa::v1::WatchConfigsResponse response;
      for (const std::string& name : request->names()) {
        if (const auto found = states_.find(name); found != states_.end()) *response.add_imports() = found->second;
      }
      lock.unlock();
      const bool written = writer->Write(response);
      lock.lock();
      if (!written) break;
    }
    return {grpc::StatusCode::UNAVAILABLE, "the fake broker stops"};
  }

  void Set(std::map<std::string, mcsa::v1::ImportState> states) {
    {
      std::lock_guard lock(mu_);
      states_ = std::move(states);
      ++version_;
    }
    changed_.notify_all();
  }

  bool AwaitStreams(int count) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return streams_ >= count; });
  }

  std::string last_token() const {
    std::lock_guard lock(mu_);
    return last_token_;
  }

  int port() const { return port_; }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  mutable std::mutex mu_;
  std::condition_variable changed_;
  bool stopping_ = false;                                // guarded by mu_
  int version_ = 0;                                      // guarded by mu_
  int streams_ = 0;                                      // guarded by mu_
  std::string last_token_;                               // guarded by mu_
  std::map<std::string, mcsa::v1::ImportState> states_;  // guarded by mu_
};

FakeBroker::FakeBroker(const std::string& address, const std::string& host, const k8s::CertificateAndKey& ca)
    : service_(std::make_unique<Service>(address, host, ca)) {}

FakeBroker::~FakeBroker() = default;

int FakeBroker::port() const {
  return service_->port();
}

void FakeBroker::Set(std::map<std::string, mcsa::v1::ImportState> states) {
  service_->Set(std::move(states));
}

bool FakeBroker::AwaitStreams(int count) {
  return service_->AwaitStreams(count);
}

std::string FakeBroker::last_token() const {
  return service_->last_token();
}

}  // namespace sidecar
