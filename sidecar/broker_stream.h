#ifndef SIDECAR_BROKER_STREAM_H_
#define SIDECAR_BROKER_STREAM_H_

#include <absl/status/status.h>

#include <functional>
#include <string>
#include <vector>

#include "mcsa/v1/config_service.pb.h"

namespace sidecar {

struct BrokerStreamOptions {
  std::string broker;  // host:port; each address of the host is a replica
  // The projected volume with the pod's token for the broker (`token`) and the broker's CA (`ca.crt`): read again for
  // each stream, because the kubelet renews the one and the broker the other.
  std::string credentials_directory;
  std::vector<std::string> imports;
};

struct BrokerStreamCallbacks {
  std::function<void(mcsa::v1::WatchConfigsResponse)> on_message;
  // The stream has ended or could not be opened. The text says where and why, and holds no token.
  std::function<void(absl::Status)> on_down;
};

// Starts to hold one stream to one replica of the broker: when it ends, or is silent for 15 s, it goes to another, with
// back-off. The callbacks are called from threads of gRPC and of its own, one at a time. There is no way to stop it:
// the sidecar ends by ending the process, which waits for nothing.
void StartBrokerStream(BrokerStreamOptions options, BrokerStreamCallbacks callbacks);

}  // namespace sidecar

#endif  // SIDECAR_BROKER_STREAM_H_
