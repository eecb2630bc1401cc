import asyncio
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from mcsa import sidecar
from mcsa.v1 import config_service_pb2 as v1

Outcome: TypeAlias = "v1.WatchConfigsResponse | grpc.StatusCode"


class FakeSidecar(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers each stream with the next of its scripts: snapshots, and the status that ends it."""

    def __init__(self, *scripts: list[Outcome]) -> None:
        self._scripts = list(scripts)
        self.names: list[str] = []

    def service(self, details: Any) -> Any:
        if details.method == "/mcsa.v1.ConfigService/WatchConfigs":
            return grpc.unary_stream_rpc_method_handler(
                self._watch, v1.WatchConfigsRequest.FromString, v1.WatchConfigsResponse.SerializeToString
            )
        return grpc.unary_unary_rpc_method_handler(
            self._get, v1.GetConfigRequest.FromString, v1.GetConfigResponse.SerializeToString
        )

    def _watch(self, request: v1.WatchConfigsRequest, context: Any) -> Iterator[v1.WatchConfigsResponse]:
        self.names = list(request.names)
        for outcome in self._scripts.pop(0):
            if isinstance(outcome, grpc.StatusCode):
                context.abort(outcome, "as scripted")
            else:
                yield outcome

    def _get(self, request: v1.GetConfigRequest, context: Any) -> v1.GetConfigResponse:
        return v1.GetConfigResponse(config=v1.Config(name=request.name, token=b"token"))


def test_a_socket_that_hangs_is_given_up_at_the_deadline() -> None:
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{directory}/socket")
        silent.listen()
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as error:
            sidecar.get_config("east", f"{directory}/socket", deadline=0.3)
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - began < 2


def test_a_watch_where_no_sidecar_answers_says_so(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match=r"no sidecar answers at unix:.*none within 0\.3 s"):
        next(sidecar.watch_configs(socket=str(tmp_path / "none"), deadline=0.3))


async def test_and_with_asyncio_too(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match=r"no sidecar answers at unix:.*none within 0\.3 s"):
        await anext(sidecar.watch_configs_async(socket=str(tmp_path / "none"), deadline=0.3))


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[FakeSidecar], FakeSidecar]]:
    directory = tempfile.TemporaryDirectory()  # pytest's is too long for a socket
    server = grpc.server(ThreadPoolExecutor())
    monkeypatch.setenv("MCSA_SOCKET", str(Path(directory.name) / "socket"))

    def start(fake: FakeSidecar) -> FakeSidecar:
        server.add_generic_rpc_handlers((fake,))
        server.add_insecure_port(f"unix:{directory.name}/socket")
        server.start()
        return fake

    yield start
    server.stop(None).wait()
    directory.cleanup()


def snapshot(token: bytes) -> v1.WatchConfigsResponse:
    return v1.WatchConfigsResponse(imports=[v1.ImportState(name="east", config=v1.Config(token=token))])


def scripted() -> FakeSidecar:
    return FakeSidecar(
        [snapshot(b"first"), snapshot(b"second"), grpc.StatusCode.UNAVAILABLE],
        [snapshot(b"third"), grpc.StatusCode.PERMISSION_DENIED],
    )


def test_a_stream_that_breaks_is_opened_again_and_a_refusal_is_raised(serve: Callable[..., FakeSidecar]) -> None:
    fake = serve(scripted())
    tokens = []
    with pytest.raises(grpc.RpcError) as raised:
        for seen in sidecar.watch_configs(["east"]):
            tokens.append(seen.imports[0].config.token)
    assert tokens == [b"first", b"second", b"third"]
    assert fake.names == ["east"]
    assert raised.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_and_with_asyncio(serve: Callable[..., FakeSidecar]) -> None:
    serve(scripted())
    tokens = []
    with pytest.raises(grpc.RpcError):
        async with asyncio.timeout(20):
            async for seen in sidecar.watch_configs_async():
                tokens.append(seen.imports[0].config.token)
    assert tokens == [b"first", b"second", b"third"]


def test_one_config_is_had_by_name(serve: Callable[..., FakeSidecar]) -> None:
    serve(FakeSidecar())
    assert sidecar.get_config("east").name == "east"


async def test_one_config_is_had_by_name_with_asyncio(serve: Callable[..., FakeSidecar]) -> None:
    serve(FakeSidecar())
    assert (await sidecar.get_config_async("east")).name == "east"


def test_a_socket_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        sidecar.get_config("east", socket=str(tmp_path / "none"))
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
