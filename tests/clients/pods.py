"""A client's container without a node: a private mount namespace with what would be mounted, at the standard paths."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tokens import IMPORT

IMPORTS = "/run/secrets/admiralty.io/serviceaccountimports"
OWN_ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
SIDECAR = "/run/multicluster-service-account"


class Volume:
    """A Secret as the kubelet mounts it."""

    def __init__(self, directory: Path, files: dict[str, bytes]) -> None:
        self.directory = directory
        self._states = 0
        directory.mkdir(parents=True)
        self.replace(files)
        for name in files:
            (directory / name).symlink_to(Path("..data") / name)

    def replace(self, files: dict[str, bytes]) -> None:
        self._states += 1
        state = self.directory / f"..state-{self._states}"
        state.mkdir()
        for name, content in files.items():
            (state / name).write_bytes(content)
        new, data = self.directory / "..data_tmp", self.directory / "..data"
        old = self.directory / data.readlink() if data.is_symlink() else None
        new.symlink_to(state.name)
        new.rename(data)
        if old:
            shutil.rmtree(old)


@dataclass
class Pod:
    """What is mounted where in a client's container."""

    mounts: dict[str, Path]  # mount point -> folder
    environment: dict[str, str]

    def start(self, command: list[str]) -> subprocess.Popen:
        script = "set -e; mount -t tmpfs tmpfs /run; mkdir /run/home; "
        for point, source in self.mounts.items():
            script += f"[ -e {point} ] || mkdir -p {point}; mount --bind {source} {point}; "
        return subprocess.Popen(
            ["unshare", "--mount", "--propagation=private", "sh", "-c", script + 'exec "$@"', "sh", *command],
            env={"PATH": os.environ["PATH"], "HOME": "/run/home"} | self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def doors(work: Path, files: dict[str, bytes]) -> dict[str, Pod]:
    """Return the pods by door; those with a sidecar mount what that writes."""
    volume = {f"{IMPORTS}/{IMPORT}": work / "volume"}
    with_sidecar = {f"{IMPORTS}/{IMPORT}": work / "sidecar/imports" / IMPORT, SIDECAR: work / "sidecar"}
    host, port = re.fullmatch(r"https://\[?([^/]*?)\]?:(\d+)", files["server"].decode()).groups()
    server = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    return {
        "kubeconfig": Pod(volume, {"KUBECONFIG": f"/var{IMPORTS}/{IMPORT}/config"}),
        "exec plugin": Pod(with_sidecar, {"KUBECONFIG": f"/var{SIDECAR}/kubeconfig"}),
        "in-cluster": Pod({OWN_ACCOUNT: work / "volume"}, server),
        "in-cluster, sidecar": Pod({OWN_ACCOUNT: work / "sidecar/imports" / IMPORT}, server),
        "our library": Pod(volume, {}),
        "our library, socket": Pod(with_sidecar, {"MCSA_SOCKET": f"/var{SIDECAR}/mcsa.sock"}),
    }
