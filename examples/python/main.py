"""Lists the pods of the cluster that this pod's import leads to, each minute, for as long as you let it."""

import sys
import time

import kubernetes
import mcsa

configuration, namespace = mcsa.service_account_import_config_and_namespace()
api = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))
while True:
    try:
        for pod in api.list_namespaced_pod(namespace).items:
            print(namespace, pod.metadata.name, flush=True)
    except kubernetes.client.ApiException as error:
        print(f"{error.status} {error.reason}", file=sys.stderr, flush=True)
    time.sleep(60)
