#include "webhook/options.h"

#include <CLI/CLI.hpp>

#include "k8s/api/command_line.h"
#include "k8s/core/names.h"

namespace webhook {

std::optional<int> ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app{
      "Gives pods that ask for ServiceAccountImports their credential: the mutating admission webhook.\n"
      "It writes nothing. In a pod it uses the pod's own account, elsewhere a kubeconfig.\n\n"
      "Example: mcsa-webhook --context=cluster1 --address=127.0.0.1:8443 --name=127.0.0.1\n",
      "mcsa-webhook"};
  options.names = {std::string(k8s::kWebhookName) + "." + k8s::kWebhookNamespace + ".svc"};
  options.ca_secret = {k8s::kWebhookNamespace, k8s::kWebhookCaSecret};
  options.configuration = k8s::kWebhookName;
  app.add_option("--kubeconfig", options.kubeconfig,
                 "kubeconfig file, or a colon list; default the pod's own account, KUBECONFIG, ~/.kube/config");
  app.add_option("--context", options.context,
                 "context of the cluster whose pods are asked about; default the current one");
  app.add_option("--address", options.address, "IP:port of the HTTPS server; empty IP: all")->capture_default_str();
  app.add_option("--metrics-address", options.metrics_address, "IP:port of /metrics, /healthz and /readyz; empty: none")
      ->capture_default_str();
  app.add_option("--name", options.names, "DNS name or IP address that the API server dials; may be given again")
      ->capture_default_str();
  app.add_option("--ca-secret", options.ca_secret.name, "Secret with the CA that signs the certificate")
      ->capture_default_str();
  app.add_option("--namespace", options.ca_secret.namespace_name, "the namespace of that Secret")
      ->capture_default_str();
  app.add_option("--webhook-configuration", options.configuration,
                 "MutatingWebhookConfiguration whose caBundle must fit the certificate before /readyz says so")
      ->capture_default_str();
  app.add_option("--client-ca-file", options.client_ca_file,
                 "PEM file with the CA of the API servers' client certificates; without it any client may ask")
      ->check(CLI::ExistingFile);
  app.add_option("--sidecar-image", options.sidecar_image,
                 "image of the sidecar; without it pods that ask for one are refused");
  app.add_option("--drain-seconds", options.drain_seconds,
                 "how long to serve on after SIGTERM, until no API server comes any more")
      ->check(CLI::Range(0, 600))
      ->capture_default_str();
  k8s::AddLogLevel(app, options.log_level);
  return k8s::ParseCommandLine(app, argc, argv);
}

}  // namespace webhook
