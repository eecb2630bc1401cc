"""What bad clients do to the webhook: idle connections, endless headers and bodies, slow senders, texts that are large once
parsed, until killed.

Usage: attack_webhook.py PORT FILE. Makes FILE once 100 idle connections are held, 4 MiB of headers and of bodies sent, and
each of the large texts answered.
"""

import functools
import json
import pathlib
import socket
import ssl
import sys
import threading
import time

port = int(sys.argv[1])
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
MEBIBYTES = 100
lock = threading.Lock()
done = {"idle": 0, "header": 0, "body": 0}  # connections held now; bytes sent


def review(containers):
    annotations = {"multicluster.admiralty.io/service-account-import.name": "a"}
    pods = {"group": "", "version": "v1", "resource": "pods"}
    pod = {"metadata": {"annotations": annotations}, "spec": {"containers": containers}}
    request = {"uid": "u", "namespace": "default", "operation": "CREATE", "resource": pods, "object": pod}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


# Texts of up to 3 MiB of which a parser, or the patch, makes many times as much.
costly = {
    "arrays": [[0]] * 780_000,
    "numbers": [0] * 1_500_000,
    "arguments": review([{"name": "app", "args": [""] * 950_000}]),
    "containers": review([{"name": "a"}] * 200_000),
    "some containers": review([{"name": "a"}] * 60_000),
    "mounts": review([{"name": "a"}] * 500),
}
costly = {name: json.dumps(text, separators=(",", ":")).encode() for name, text in costly.items()}
done |= {name: 0 for name in costly}  # answers


def count(what, number):
    with lock:
        done[what] += number


def connect():
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30))


def forever(act):
    def run():
        while True:
            try:
                act(connect())
            except OSError:
                time.sleep(0.05)  # refused or cut off: again

    threading.Thread(target=run, daemon=True).start()


def idle(connection):
    count("idle", 1)
    try:
        while connection.recv(1):
            pass
    finally:
        count("idle", -1)


def endless_header(connection):
    connection.sendall(b"POST /mutate-pods HTTP/1.1\r\nX: ")
    for _ in range(MEBIBYTES * 16):
        connection.sendall(b"x" * 65536)
        count("header", 65536)


def endless_body(connection):
    connection.sendall(b"POST /mutate-pods HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(MEBIBYTES * 16):
        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        count("body", 65536)


def send_costly(name, connection):
    connection.sendall(b"POST /mutate-pods HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(costly[name]))
    connection.sendall(costly[name])
    if connection.recv(1):
        count(name, 1)
    time.sleep(0.2)  # the machine is small


def slow(connection):
    connection.sendall(b"POST /mutate-pods HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.5)


for _ in range(120):  # some are being opened again
    forever(idle)
for act in (endless_header, endless_body, slow, slow):
    forever(act)
for name in costly:
    for _ in range(4):
        forever(functools.partial(send_costly, name))
while done["idle"] < 100 or min(done["header"], done["body"]) < 4 << 20 or not all(done[name] for name in costly):
    time.sleep(0.1)
pathlib.Path(sys.argv[2]).touch()
threading.Event().wait()
