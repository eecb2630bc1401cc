"""The clients: how each is built, and what one call of it is."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO

from pods import Pod
from tokens import IMPORT

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcsa" / "clients"
CALL = 60  # seconds for one call, a JVM's first included


@dataclass
class Client:
    name: str  # as in the documentation's table
    version: str
    command: list[str]
    doors: tuple[str, ...] = ("kubeconfig", "exec plugin", "in-cluster", "in-cluster, sidecar")


def run(*command: object, **options: object) -> str:
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def kubectl_client() -> list[Client]:
    field_path = r"{.status.userInfo.extra.authentication\.kubernetes\.io/credential-id}"
    script = f"""while read -r _; do
      if out=$(kubectl auth whoami -o jsonpath='{field_path}' 2>&1); then echo "ok $out"; else echo error $out; fi
    done"""
    version = json.loads(run("kubectl", "version", "--client", "-o", "json"))["clientVersion"]["gitVersion"]
    return [Client("kubectl", version, ["bash", "-c", script])]


def go_clients() -> list[Client]:
    build = CACHE / "go"
    build.mkdir(parents=True, exist_ok=True)
    go = ROOT / "tools/go"
    run(go, "build", "-o", build / "client-go", ".", cwd=ROOT / "tests/clients/go")
    version = run(go, "list", "-m", "-f", "{{.Version}}", "k8s.io/client-go", cwd=ROOT / "tests/clients/go")
    # A program of the predecessor's users, with another import path.
    program = ROOT / "client/go/config/testdata/predecessor/main.go"
    changed = build / "main.go"
    changed.write_text(
        program.read_text().replace(
            "admiralty.io/multicluster-service-account/pkg/config",
            "github.com/admiraltyio/multicluster-service-account/client/go/config",
            1,
        )
    )
    overlay = build / "overlay.json"
    overlay.write_text(json.dumps({"Replace": {str(program): str(changed)}}))
    predecessor = "./config/testdata/predecessor"
    run(go, "build", "-overlay", overlay, "-o", build / "predecessor", predecessor, cwd=ROOT / "client/go")
    return [
        Client("client-go", version.strip(), [str(build / "client-go")]),
        Client("client-go", version.strip(), [str(build / "predecessor")], ("our library", "our library, socket")),
    ]


def python_clients() -> list[Client]:
    program = str(ROOT / "tests/clients/python/main.py")
    listed = json.loads(run(ROOT / "tools/python", "pip", "list", "--format=json"))
    versions = {package["name"].replace("-", "_"): package["version"] for package in listed}
    python = run(ROOT / "tools/python", "python", "-c", "import sys; print(sys.executable)").strip()
    ours = ["env", f"PYTHONPATH={ROOT}/client/python/src", "PYTHONDONTWRITEBYTECODE=1", python, program]
    clients = []
    for library, package in (("kubernetes", "mcsa"), ("kubernetes_asyncio", "mcsa.aio")):
        clients.append(Client(f"Python {library}", versions[library], [python, program, library]))
        clients.append(Client(f"Python {library}", versions[library], [*ours, package], ("our library",)))
    return clients


def node_program() -> str:
    return run(ROOT / "tools/python", "node", "-p", "process.execPath").strip()


def node_client() -> list[Client]:
    packages = Path(run(ROOT / "tools/node_packages", ROOT / "examples/node").strip())
    # A program finds its packages above itself only.
    program = packages.parent / "client-matrix.mjs"
    shutil.copy(ROOT / "tests/clients/node/main.mjs", program)
    version = json.loads((packages / "@kubernetes/client-node/package.json").read_text())["version"]
    return [Client("@kubernetes/client-node", version, [node_program(), str(program)])]


def java_client() -> list[Client]:
    build = CACHE / "java"
    shutil.copytree(ROOT / "tests/clients/java", build, dirs_exist_ok=True)
    run("mvn", "-q", "-B", "compile", "dependency:copy-dependencies", cwd=build)
    jar = next((build / "target/dependency").glob("kubernetes-client-api-*.jar"))
    classes = f"{build}/target/classes:{build}/target/dependency/*"
    return [
        Client("fabric8 (JVM)", jar.stem.rsplit("-", 1)[1], [shutil.which("java"), "-Xmx128m", "-cp", classes, "Main"])
    ]


def cpp_clients() -> list[Client]:
    version, program = run("kubemcsa", "--version").strip(), shutil.which("client-cpp")
    return [
        Client("C++", version, [program], ("our library",)),
        Client("C++", version, [program, IMPORT], ("our library, socket",)),
    ]


CLIENTS = {
    "kubectl": kubectl_client,
    "go": go_clients,
    "python": python_clients,
    "cpp": cpp_clients,
    "node": node_client,
    "java": java_client,
}


class Running:
    """A client in its pod, which makes one call for each line it is sent."""

    def __init__(self, client: Client, door: str, pod: Pod) -> None:
        self.client, self.door = client, door
        self._process = pod.start(client.command)
        self._lines: Queue[str | None] = Queue()
        self._errors: list[str | None] = []
        Thread(target=self._read, args=(self._process.stdout, self._lines.put), daemon=True).start()
        Thread(target=self._read, args=(self._process.stderr, self._errors.append), daemon=True).start()

    @staticmethod
    def _read(stream: IO[str], put: Callable[[str | None], object]) -> None:
        for line in stream:
            put(line.strip())
        put(None)  # it ended

    def call(self) -> str:
        """Return the client's answer, "ok ..." or anything else."""
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it ended: its last words are the answer
        try:
            while (answer := self._lines.get(timeout=CALL)) is not None and not answer.startswith(("ok ", "error ")):
                pass  # libraries print as they like
        except Empty:
            return f"no answer within {CALL} seconds"
        if answer is None:
            self._process.wait(10)
            self._lines.put(None)
            return "ended: " + " ".join(filter(None, self._errors))[-2000:]
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
