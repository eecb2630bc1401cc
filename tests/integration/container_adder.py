"""A mutating webhook that adds a container named "added" to every pod that lacks it.

Usage: container_adder.py FOLDER PORT. Writes its self-signed certificate to FOLDER/adder.crt once it serves.
"""

import base64
import http.server
import json
import os
import ssl
import subprocess
import sys

folder, port = sys.argv[1], int(sys.argv[2])


class Adder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        containers = review["request"]["object"]["spec"]["containers"]
        response = {"uid": review["request"]["uid"], "allowed": True}
        if all(container["name"] != "added" for container in containers):
            patch = [{"op": "add", "path": "/spec/containers/-", "value": {"name": "added", "image": "i"}}]
            response.update(patchType="JSONPatch", patch=base64.b64encode(json.dumps(patch).encode()).decode())
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
     "-subj", "/CN=adder", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/adder.key", "-out", f"{folder}/adder.new"],
    check=True, stderr=subprocess.DEVNULL)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{folder}/adder.new", f"{folder}/adder.key")
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Adder)
server.socket = context.wrap_socket(server.socket, server_side=True)
os.rename(f"{folder}/adder.new", f"{folder}/adder.crt")
server.serve_forever()
