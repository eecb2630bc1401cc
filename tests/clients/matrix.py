"""Which client follows a renewed and a replaced token through which door, tried on real API servers.

Runs inside `tools/clusters exec`, beside a broker that keeps the import "lister" of cluster1 (clients_test.sh and
tools/client-matrix start both). A "pod" is a private mount namespace in which the import's Secret is laid out at the
standard paths and replaced as the kubelet does it; a sidecar's pod has what the broker streams to a real sidecar. Three
phases:

  start             the client's first call.
  after-renewal     a newer token was laid out, and the old one has ended: the API server answered it 401.
  after-revocation  the account was made again and with it the token: the API server answered the old one 401 before the
                    client's next call. A client that reads its token again within a minute may need that minute;
                    kubectl and our libraries may not.

TokenRequest gives ten minutes at least, so the token that ends is signed here with the test cluster's own key.
What the documentation promises is read from the table in docs/clients.md.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from clients import CLIENTS, ROOT, Client, Running, run
from pods import Pod, Volume, doors
from sidecar_process import start_sidecar
from tokens import IMPORT, await_refusal, await_token_after, credential_id, kubectl, short_lived

START = 5  # seconds for a client to start, of all together: some take ten on a busy machine, two start at a time
REREAD = 75  # seconds: clients that read files again do so each minute
AT_ONCE = 5  # seconds for what follows with its next call once it was told, or was refused
PHASES = ("start", "after-renewal", "after-revocation")
# What a word in the documentation's table promises for the three phases.
PROMISES = {
    "rotates": ("works", "works", "works"),
    "until revoked": ("works", "works", "fails-clearly"),
    "start only": ("works", "fails-clearly", "fails-clearly"),
    "no": ("fails-clearly", "fails-clearly", "fails-clearly"),
}
CLEAR = re.compile(r"\b40[13]\b|unauthorized|forbidden|credentials|no token", re.IGNORECASE)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass
class Matrix:
    promised: dict[tuple[str, str], tuple[str, str, str]]
    running: list[Running] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)

    def start(self, clients: list[tuple[Client, str, Pod]]) -> None:
        """Start all clients and let each make its first call."""

        def start(one: tuple[Client, str, Pod]) -> dict:
            running = Running(*one)
            self.running.append(running)
            return self._row(running, "start", 0, None)

        say(f"start: {len(clients)} clients call")
        with ThreadPoolExecutor(2) as pool:
            self.rows += pool.map(start, clients)

    def phase(self, phase: str, patience: float, token: str | None = None) -> None:
        """Let all clients call; those that fail try again until they have had `patience` seconds."""
        say(f"{phase}: {len(self.running)} clients call")
        with ThreadPoolExecutor(len(self.running)) as pool:
            self.rows += pool.map(lambda running: self._row(running, phase, patience, token), self.running)

    def _row(self, running: Running, phase: str, patience: float, token: str | None) -> dict:
        if running.door == "our library" or (running.client.name, running.door) == ("kubectl", "kubeconfig"):
            patience = 0  # the file was replaced before
        elif running.client.name == "kubectl" or running.door.startswith("our library"):
            patience = min(patience, AT_ONCE)
        begin = time.monotonic()
        while True:
            answer = running.call()
            worked = answer.startswith("ok ") and (token is None or credential_id(token) in answer)
            seconds = round(time.monotonic() - begin, 1)
            if worked or seconds >= patience:
                break
            time.sleep(2)
        result = "works" if worked else "fails-clearly" if CLEAR.search(answer) else "fails"
        promise = self.promised.get((running.client.name, running.door))
        documented = promise[PHASES.index(phase)] if promise else "undocumented"
        row = {
            "client": running.client.name,
            "version": running.client.version,
            "door": running.door,
            "phase": phase,
            "result": result,
            "documented": documented,
            "ok": result == documented,
            "seconds": seconds,
        }
        if not row["ok"] or result == "fails":
            row["said"] = re.sub(r"ey[\w-]+\.[\w-]+\.[\w-]+", "<token>", answer)[-400:]
        return row


def promises() -> dict[tuple[str, str], tuple[str, str, str]]:
    """Read the table of docs/clients.md that begins with "your client"."""
    lines = (ROOT / "docs/clients.md").read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("| your client"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[begin:]]
    columns = cells[0][1:]
    found = {}
    for row in cells[2:]:
        if len(row) != len(cells[0]):
            break
        for door, word in zip(columns, row[1:], strict=True):
            if word in PROMISES:
                found[row[0], door] = PROMISES[word]
            elif word != "-":
                raise SystemExit(f'docs/clients.md: "{word}" is none of {", ".join(PROMISES)}')
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker-port", type=int, required=True, help="of the broker's gRPC API on this machine")
    parser.add_argument("clients", nargs="*", help=f"of {', '.join(CLIENTS)}; default all")
    arguments = parser.parse_args()
    chosen = arguments.clients or list(CLIENTS)
    promised = promises()
    clients = []
    for name in chosen:
        say(f"building {name}")
        clients += CLIENTS[name]()
    for client in {client.name for client in clients}:
        documented = {door: promise for (name, door), promise in promised.items() if name == client}
        tried = {door for c in clients if c.name == client for door in c.doors}
        if PROMISES["rotates"] not in documented.values() or documented.keys() != tried:
            raise SystemExit(f"docs/clients.md: {client} has no door that rotates, or not the doors {sorted(tried)}")
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        files = await_token_after("")
        key = Path(os.environ["MCSA_CLUSTERS_DIR"]) / "cluster2/pki/sa.key"
        doors_of_clients = [(client, door) for client in clients for door in client.doors]
        life = 20 + START * len(doors_of_clients)
        first = files | {"token": short_lived(files["token"].decode(), key, life).encode()}
        volume = Volume(work / "volume", first)
        sidecar = start_sidecar(work, first, arguments.broker_port)
        matrix = Matrix(promised)
        try:
            pods = doors(work, files)
            matrix.start([(client, door, pods[door]) for client, door in doors_of_clients])

            run("kubemcsa", "renew", IMPORT, "--context", "cluster1", "-n", "default")
            second = await_token_after(files["token"].decode())
            volume.replace(second)
            say("after-renewal: waiting for the first token's end")
            await_refusal(first)
            matrix.phase("after-renewal", 0)

            kubectl("cluster2", "delete", "serviceaccount", "pod-lister")
            kubectl("cluster2", "create", "serviceaccount", "pod-lister")
            third = await_token_after(second["token"].decode())
            volume.replace(third)
            await_refusal(second)
            matrix.phase("after-revocation", REREAD, third["token"].decode())
        finally:
            for running in matrix.running:
                running.stop()
            sidecar.kill()
            sidecar.wait()
    print(json.dumps(matrix.rows, indent=1))
    return 0 if all(row["ok"] for row in matrix.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
