import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parent.parent


def test_pip_installs_it_with_its_types(tmp_path: Path) -> None:
    # From a copy: a build leaves folders behind.
    copy = shutil.copytree(SOURCES, tmp_path / "copy", ignore=shutil.ignore_patterns("tests", "*cache*", "build"))
    target = tmp_path / "target"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(target),
        str(copy),
    ]
    subprocess.run(pip, check=True)
    # -I: not the sources that PYTHONPATH leads to.
    program = f"import sys; sys.path.insert(0, {str(target)!r}); import mcsa.aio, mcsa.sidecar; print(mcsa.__file__)"
    printed = subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True).stdout
    assert Path(printed.strip()) == target / "mcsa" / "__init__.py"
    for name in ("py.typed", "v1/config_service_pb2.pyi"):
        assert (target / "mcsa" / name).exists()
