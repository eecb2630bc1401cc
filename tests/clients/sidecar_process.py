"""A real sidecar beside the clients, whose files the real broker's stream keeps: its mounted Secret never changes."""

import json
import shutil
import subprocess
from pathlib import Path
from threading import Thread

from pods import IMPORTS, OWN_ACCOUNT, SIDECAR, Pod, Volume
from tokens import IMPORT, kubectl

NAME = "clients"  # of the pod that the broker takes it for
BROKER = "service-account-import-controller.multicluster-service-account.svc"


def credentials() -> dict[str, bytes]:
    """Return what the kubelet would project for the sidecar: the pod's token for the broker, and the broker's CA."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": {"multicluster.admiralty.io/injected": "true"}},
        "spec": {
            "initContainers": [
                {
                    "name": "mcsa-sidecar",
                    "image": "none",
                    "restartPolicy": "Always",
                    "args": ["run", f"--import={IMPORT}", "--log-level=info"],
                }
            ],
            "containers": [{"name": "app", "image": "none"}],
        },
    }
    kubectl("cluster1", "apply", "-f", "-", text=json.dumps(pod))
    bound = (f"--bound-object-name={NAME}", "--bound-object-kind=Pod", "--audience=multicluster-service-account")
    token = kubectl("cluster1", "create", "token", "default", *bound)
    config_map = json.loads(kubectl("cluster1", "get", "configmap", "multicluster-service-account-ca", "-o", "json"))
    return {"token": token.encode(), "ca.crt": config_map["data"]["ca.crt"].encode()}


def start_sidecar(work: Path, secret: dict[str, bytes], port: int) -> subprocess.Popen:
    """Start it with this Secret mounted, and return when the clients may start."""
    (work / "sidecar").mkdir()
    Volume(work / "secret", secret)
    Volume(work / "credentials", credentials())
    hosts = work / "hosts"
    hosts.write_text(f"127.0.0.1 {BROKER}\n")
    mounts = {
        f"{IMPORTS}/{IMPORT}": work / "secret",
        SIDECAR: work / "sidecar",
        OWN_ACCOUNT: work / "credentials",
        "/etc/hosts": hosts,
    }
    program = shutil.which("mcsa-sidecar")
    plugin = shutil.which("mcsa-credential")
    process = Pod(mounts, {}).start(
        [program, "run", f"--import={IMPORT}", f"--broker={BROKER}:{port}", f"--plugin={plugin}"]
    )
    for stream in (process.stderr, process.stdout):
        Thread(target=stream.read, daemon=True).start()
    subprocess.run([program, "wait", f"--directory={work / 'sidecar'}", "--timeout=10"], check=True)
    return process
