#ifndef WEBHOOK_OPTIONS_H_
#define WEBHOOK_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "k8s/api/log.h"
#include "k8s/core/object.h"

namespace webhook {

struct Options {
  std::string kubeconfig;  // empty: the pod's own account, else KUBECONFIG or ~/.kube/config
  std::string context;
  std::string address = ":8443";
  std::string metrics_address = ":8080";  // empty: no endpoints
  std::vector<std::string> names;         // that API servers dial; in the certificate
  k8s::ObjectKey ca_secret;
  std::string configuration;   // MutatingWebhookConfiguration whose caBundle must fit before we are ready
  std::string client_ca_file;  // empty: any client may ask
  std::string sidecar_image;
  int drain_seconds = 10;  // how long to serve on after SIGTERM
  k8s::LogLevel log_level = k8s::LogLevel::kInfo;
};

// Parses the command line. If there is nothing left to do (--help, --version, a mistake), it has printed what there is
// to say, and the result is the exit status instead.
std::optional<int> ParseOptions(int argc, char** argv, Options& options);

}  // namespace webhook

#endif  // WEBHOOK_OPTIONS_H_
