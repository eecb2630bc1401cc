#ifndef SIDECAR_TESTING_FAKE_BROKER_H_
#define SIDECAR_TESTING_FAKE_BROKER_H_

#include <absl/time/time.h>

#include <map>
#include <memory>
#include <string>

#include "k8s/api/certificate_authority.h"
#include "k8s/core/secret_string.h"
#include "mcsa/v1/config_service.pb.h"

namespace sidecar {

// A token that says it was issued `age` ago and lives for `life`. Nobody signed it.
k8s::SecretString FakeToken(absl::Duration age, absl::Duration life, const std::string& id = "");

// A stand-in for the broker, for what a real one does not do on demand: it serves what it is told to, over TLS, to
// everyone. Thread-safe.
class FakeBroker {
 public:
  // Serves at `address` ("127.0.0.1:0"), with a certificate for `host` that `ca` signs.
  FakeBroker(const std::string& address, const std::string& host, const k8s::CertificateAndKey& ca);
  ~FakeBroker();

  int port() const;

  // Sends `states`, by the names of the imports, to each stream that asked for one of them.
  void Set(std::map<std::string, mcsa::v1::ImportState> states);

  // Blocks until so many streams have been opened since the start, or 30 s.
  bool AwaitStreams(int count);
  // The bearer token of the last stream.
  std::string last_token() const;

 private:
  class Service;
  std::unique_ptr<Service> service_;
};

}  // namespace sidecar

#endif  // SIDECAR_TESTING_FAKE_BROKER_H_
