"""What bad clients do to the webhook: idle connections, endless headers and bodies, slow senders, until killed.

Usage: attack_webhook.py PORT FILE. Makes FILE once 100 idle connections are held and 4 MiB of headers and of bodies sent.
"""

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


def slow(connection):
    connection.sendall(b"POST /mutate-pods HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.5)


for _ in range(120):  # some are being opened again
    forever(idle)
for act in (endless_header, endless_body, slow, slow):
    forever(act)
while done["idle"] < 100 or min(done["header"], done["body"]) < 4 << 20:
    time.sleep(0.1)
pathlib.Path(sys.argv[2]).touch()
threading.Event().wait()
