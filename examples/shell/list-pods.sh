#!/bin/sh
# Lists the pods of the cluster that this pod's import leads to, each minute. KUBECONFIG is set by the webhook, for the
# door "kubeconfig"; kubectl reads the token anew each time.
while :; do
  kubectl get pods -o jsonpath='{range .items[*]}{.metadata.namespace} {.metadata.name}{"\n"}{end}'
  sleep 60
done
