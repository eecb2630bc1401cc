"""Builds images of the examples in Go, Python, Node.js and shell from what is installed here, not pulled from anywhere.

  example_images.py FOLDER [EXAMPLE...]     writes FOLDER/<example>.tar, OCI archives for `tools/clusters load`, of all
                                            examples if none is named; node only with npm

An interpreter goes in with its library and the shared objects that it needs, at the paths that they have here.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mcsa" / "examples"

# In the environment of tools/python, and of no use to the example.
TOOLS = {"_pytest", "grpc", "kubernetes_asyncio", "mypy", "mypyc", "pip", "pytest", "ruff", "setuptools"}


def run(*command: object, **options: object) -> str:
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def tree(source: Path, target: str) -> dict[str, Path]:
    """Return all files below a folder by their path in the image."""
    files = (f for f in source.rglob("*") if f.is_file() and "__pycache__" not in f.parts)
    return {f"{target}/{file.relative_to(source)}": file for file in files}


def shared_objects(programs: Iterable[Path]) -> dict[str, Path]:
    """Return what the dynamic linker loads for these."""
    found = {}
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        for word in listed.split():
            if word.startswith("/") and Path(word).is_file():
                found[word] = Path(word)
    return found


def image(out: Path, name: str, entrypoint: str, files: dict[str, Path]) -> None:
    pairs = [f"{source}:{'755' if os.access(source, os.X_OK) else '644'}={path}" for path, source in files.items()]
    name = f"multicluster-service-account/example-{name}:latest"
    run(ROOT / "tools/oci_layout.py", out, "--name", name, "--entrypoint", entrypoint, "--env", "PATH=/bin", *pairs)


def go(out: Path) -> None:
    environment = os.environ | {"PATH": os.environ["PATH"] + ":/usr/local/go/bin", "CGO_ENABLED": "0"}
    flags = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")
    run("go", "build", *flags, "-o", BUILD / "list-pods", ".", cwd=ROOT / "examples/go", env=environment)
    roots = Path("/etc/ssl/certs/ca-certificates.crt")
    image(out, "go", "/list-pods", {"/list-pods": BUILD / "list-pods", str(roots): roots})


def python(out: Path) -> None:
    describe = "import sys, sysconfig as s; print(sys._base_executable, s.get_path('stdlib'), s.get_path('purelib'))"
    program, library, packages = map(Path, run(ROOT / "tools/python", "python", "-c", describe).split())
    program = program.resolve()
    files = {"/bin/python3": program} | tree(library, str(library))
    files = {path: file for path, file in files.items() if "/site-packages/" not in path and "/test/" not in path}
    wanted = (entry for entry in packages.iterdir() if entry.name.split("-")[0].split(".")[0] not in TOOLS)
    for entry in wanted:
        files |= (
            tree(entry, f"/app/packages/{entry.name}") if entry.is_dir() else {f"/app/packages/{entry.name}": entry}
        )
    files |= tree(ROOT / "client/python/src", "/app/packages")
    files["/app/main.py"] = ROOT / "examples/python/main.py"
    files |= shared_objects([program, *(file for file in files.values() if ".so" in file.suffixes)])
    # The interpreter finds its library by its own path, and our packages beside the program.
    start = BUILD / "python.pth"
    start.write_text("/app/packages\n")
    files[f"{library}/site-packages/app.pth"] = start
    files[str(program)] = program
    image(out, "python", str(program), files)


def node(out: Path) -> None:
    if not shutil.which("npm"):
        return
    build = BUILD / "node"
    shutil.copytree(ROOT / "examples/node", build, dirs_exist_ok=True)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=build)
    program = Path(shutil.which("node")).resolve()
    files = {"/bin/node": program} | tree(build, "/app") | shared_objects([program])
    image(out, "node", "/bin/node", files)


def shell(out: Path) -> None:
    # The clusters' kubectl is static; so is busybox-static's.
    busybox = Path(shutil.which("busybox"))
    files = {f"/bin/{name}": busybox for name in ("sh", "sleep")}
    files["/bin/kubectl"] = Path(shutil.which("kubectl"))
    files["/app/list-pods.sh"] = ROOT / "examples/shell/list-pods.sh"
    image(out, "shell", "/bin/sh", files)


BUILDERS = {"go": go, "python": python, "node": node, "shell": shell}
BUILD.mkdir(parents=True, exist_ok=True)
for name in sys.argv[2:] or BUILDERS:
    BUILDERS[name](Path(sys.argv[1]) / f"{name}.tar")
