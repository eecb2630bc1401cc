"""Rotates the webhook's CA by request, again and again, while pods are admitted; counts the admissions that failed.

Usage: rotate_and_admit.py KUBECONFIG ROTATIONS ADMISSIONS. Ends after so many rotations and at least so many admissions
(dry runs, which the webhook sees as any other), some between every two rotations. Prints one line; fails if any failed.
"""

import base64
import http.client
import json
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

kubeconfig, rotations, admissions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
SECRET = "/api/v1/namespaces/multicluster-service-account-webhook/secrets/service-account-import-admission-controller-cert"
THREADS = 3
PATIENCE_SECONDS = 60

config = json.loads(subprocess.run(
    ["kubectl", "--kubeconfig", kubeconfig, "--context", "cluster1", "config", "view", "--minify", "--raw", "--flatten", "-o", "json"],
    check=True, stdout=subprocess.PIPE).stdout)
cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
server = urllib.parse.urlsplit(cluster["server"])
context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
with tempfile.NamedTemporaryFile() as pair:
    pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    pair.flush()
    context.load_cert_chain(pair.name)


def connect():
    return http.client.HTTPSConnection(server.hostname, server.port, context=context, timeout=PATIENCE_SECONDS)


def call(connection, method, path, body=None, content_type="application/json"):
    connection.request(method, path, body and json.dumps(body), {"Content-Type": content_type})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


POD = {"apiVersion": "v1", "kind": "Pod",
       "metadata": {"generateName": "rotation-", "annotations": {"multicluster.admiralty.io/service-account-import.name": "rotation"}},
       "spec": {"containers": [{"name": "app", "image": "i"}]}}
lock = threading.Lock()
admitted, failures, done = 0, [], threading.Event()


def admit():
    global admitted
    connection = connect()
    while not done.is_set():
        try:
            status, answer = call(connection, "POST", "/api/v1/namespaces/default/pods?dryRun=All", POD)
            mounted = status == 201 and any("/rotation" in m["mountPath"] for m in answer["spec"]["containers"][0]["volumeMounts"])
        except Exception as error:  # no answer, or one that is no pod: an admission that failed
            mounted, answer, connection = False, {"message": repr(error)}, connect()
        with lock:
            admitted += 1
            if not mounted:
                failures.append(answer.get("message", "no mount"))


def signing_ca(connection):
    return call(connection, "GET", SECRET)[1]["data"]["ca.crt"]


threads = [threading.Thread(target=admit) for _ in range(THREADS)]
for thread in threads:
    thread.start()
connection, problem, seen = connect(), "", set()
begun = time.monotonic()
before = signing_ca(connection)
rotation = 0
while not problem and (rotation < rotations or admitted < admissions):
    count = admitted
    call(connection, "PATCH", SECRET, {"metadata": {"annotations": {"multicluster.admiralty.io/rotate-requested-at": f"{begun}-{rotation}"}}},
         "application/merge-patch+json")
    end = time.monotonic() + PATIENCE_SECONDS
    while (now := signing_ca(connection)) == before or admitted == count:
        if time.monotonic() > end:
            problem = f"rotation {rotation} did not end within {PATIENCE_SECONDS} s"
            break
        time.sleep(0.05)
    if now in seen:
        problem = "an old CA came back"
    seen.add(before)
    before = now
    rotation += 1
done.set()
for thread in threads:
    thread.join()
print(f"{rotation} rotations, {admitted} admissions in {time.monotonic() - begun:.0f} s, {len(failures)} failed", *set(failures), problem)
sys.exit(bool(failures or problem))
