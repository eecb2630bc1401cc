import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import pytest

import mcsa

FILES = ("server", "namespace", "ca.crt", "token")


class Volume:
    """An import's folder, laid out and replaced as the kubelet does it."""

    def __init__(self, directory: Path, files: dict[str, str]) -> None:
        self.directory = directory
        self._states = 0
        directory.mkdir(parents=True)
        self.replace(files)
        for name in FILES:
            (directory / name).symlink_to(Path("..data") / name)

    def replace(self, files: dict[str, str]) -> None:
        self._states += 1
        state = self.directory / f"..state-{self._states}"
        state.mkdir()
        for name, text in files.items():
            (state / name).write_text(text)
        data, new = self.directory / "..data", self.directory / "..data_tmp"
        old = self.directory / data.readlink() if data.is_symlink() else None
        new.symlink_to(state.name)
        new.rename(data)
        if old:
            for file in old.iterdir():
                file.unlink()
            old.rmdir()


def files(server: str, token: str) -> dict[str, str]:
    return {"server": server, "namespace": "remote", "ca.crt": certifi.contents(), "token": token}


class Imports:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.options = mcsa.Options(imports_directory=str(directory))

    def add(self, name: str, server: str = "", token: str = "token") -> Volume:
        return Volume(self.directory / name, files(server or f"https://{name}.example", token))


@pytest.fixture
def imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Imports:
    """No import, no kubeconfig, no cluster."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("MCSA_IMPORTS_DIRECTORY", raising=False)
    return Imports(tmp_path / "imports")


class Server(ThreadingHTTPServer):
    """Stands in for an API server, to tell which token it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.sent: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.sent.append(self.headers["Authorization"])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
