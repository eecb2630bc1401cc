"""Times imports: from the request that creates one until its Ready condition is seen by a watch.

Usage: time_imports.py SERVER PREFIX COUNT

SERVER is a kubectl proxy's URL. Makes COUNT imports of cluster2's default/pod-lister, one after the other, and prints the
median in milliseconds.
"""

import json
import statistics
import sys
import time
import urllib.request

API = "/apis/multicluster.admiralty.io/v1alpha1/namespaces/default/serviceaccountimports"


def is_ready(item):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in item.get("status", {}).get("conditions", []))


def time_import(server, name):
    body = {"apiVersion": "multicluster.admiralty.io/v1alpha1", "kind": "ServiceAccountImport", "metadata": {"name": name},
            "spec": {"clusterName": "cluster2", "namespace": "default", "name": "pod-lister"}}
    watch = urllib.request.urlopen(f"{server}{API}?watch=1&fieldSelector=metadata.name={name}&timeoutSeconds=30")
    started = time.monotonic()
    request = urllib.request.Request(server + API, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request).read()
    for line in watch:
        if is_ready(json.loads(line)["object"]):
            return time.monotonic() - started
    raise SystemExit(f"{name} was not ready within 30 s")


def main():
    server, prefix, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    print(round(statistics.median(time_import(server, f"{prefix}-{i}") for i in range(count)) * 1000, 1))


main()
