// The floor for the broker's memory: WatchConfigs streams that are held and never written to, over TLS, by the same
// library with its defaults. Prints its port, then serves until it is killed.
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "mcsa/v1/config_service.grpc.pb.h"

namespace {

class EmptyCall final : public grpc::ServerWriteReactor<mcsa::v1::WatchConfigsResponse> {
 public:
  void OnCancel() override { Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }
};

class EmptyService final : public mcsa::v1::ConfigService::CallbackService {
 public:
  grpc::ServerWriteReactor<mcsa::v1::WatchConfigsResponse>* WatchConfigs(
      grpc::CallbackServerContext*, const mcsa::v1::WatchConfigsRequest*) override {
    auto* call = new EmptyCall;
    call->StartSendInitialMetadata();
    return call;
  }
};

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: empty_server CERTIFICATE_FILE KEY_FILE\n");
    return 2;
  }
  grpc::SslServerCredentialsOptions tls;
  tls.pem_key_cert_pairs.push_back({.private_key = ReadFile(argv[2]), .cert_chain = ReadFile(argv[1])});
  EmptyService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  printf("%d\n", port);
  fflush(stdout);
  server->Wait();
}
