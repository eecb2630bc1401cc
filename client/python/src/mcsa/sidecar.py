"""Credentials as the sidecar of this pod pushes them over its Unix socket (needs `grpcio`).

For programs that want to know of a renewal at once, or speak to something else than the Kubernetes API. Others are
served by `mcsa` and `mcsa.aio`, which read the files that the sidecar keeps fresh. Messages (of `mcsa.v1`) hold tokens:
never print or log one.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence

import grpc

from mcsa.v1 import config_service_pb2 as v1

SOCKET = "/var/run/multicluster-service-account/mcsa.sock"

# A method's path, and how its request and response are written.
_GET_CONFIG = (
    "/mcsa.v1.ConfigService/GetConfig",
    v1.GetConfigRequest.SerializeToString,
    v1.GetConfigResponse.FromString,
)
_WATCH_CONFIGS = (
    "/mcsa.v1.ConfigService/WatchConfigs",
    v1.WatchConfigsRequest.SerializeToString,
    v1.WatchConfigsResponse.FromString,
)
_FINAL = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED)
_FIRST_PAUSE = 0.1  # seconds, doubled up to the last
_LAST_PAUSE = 10.0


def get_config(name: str, socket: str | None = None, deadline: float = 2.0) -> v1.Config:
    """Return the credential of one import as it is now.

    Without `socket` it is $MCSA_SOCKET's, else the one at the standard path. Raises grpc.RpcError: NOT_FOUND,
    FAILED_PRECONDITION (revoked), UNAVAILABLE (no token yet, or no sidecar), DEADLINE_EXCEEDED (`deadline` is seconds).
    """
    with grpc.insecure_channel(_target(socket)) as channel:
        call = channel.unary_unary(*_GET_CONFIG)
        response: v1.GetConfigResponse = call(v1.GetConfigRequest(name=name), timeout=deadline)
        return response.config


async def get_config_async(name: str, socket: str | None = None, deadline: float = 2.0) -> v1.Config:
    """Do as get_config, for asyncio."""
    async with grpc.aio.insecure_channel(_target(socket)) as channel:
        call = channel.unary_unary(*_GET_CONFIG)
        response: v1.GetConfigResponse = await call(v1.GetConfigRequest(name=name), timeout=deadline)
        return response.config


def watch_configs(
    names: Sequence[str] = (), socket: str | None = None, deadline: float = 10.0
) -> Iterator[v1.WatchConfigsResponse]:
    """Yield a whole snapshot at once and after each change, of the imports named, or of all this pod has if none is.

    Raises TimeoutError if no sidecar answers within `deadline` seconds at first. A stream that breaks later is opened
    again after a pause (0.1 to 10 seconds); what you hold stays good meanwhile. Raises grpc.RpcError only for what
    calling again does not cure: PERMISSION_DENIED, INVALID_ARGUMENT, UNIMPLEMENTED.
    """
    with grpc.insecure_channel(_target(socket)) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=deadline)
        except grpc.FutureTimeoutError:
            raise _no_sidecar(socket, deadline) from None
        call = channel.unary_stream(*_WATCH_CONFIGS)
        pause = _FIRST_PAUSE
        while True:
            try:
                for snapshot in call(v1.WatchConfigsRequest(names=names)):
                    pause = _FIRST_PAUSE
                    yield snapshot
            except grpc.RpcError as error:
                if error.code() in _FINAL:
                    raise
            time.sleep(_apart(pause))
            pause = min(2 * pause, _LAST_PAUSE)


async def watch_configs_async(
    names: Sequence[str] = (), socket: str | None = None, deadline: float = 10.0
) -> AsyncIterator[v1.WatchConfigsResponse]:
    """Do as watch_configs, for asyncio."""
    async with grpc.aio.insecure_channel(_target(socket)) as channel:
        try:
            await asyncio.wait_for(channel.channel_ready(), deadline)
        except TimeoutError:
            raise _no_sidecar(socket, deadline) from None
        call = channel.unary_stream(*_WATCH_CONFIGS)
        pause = _FIRST_PAUSE
        while True:
            try:
                async for snapshot in call(v1.WatchConfigsRequest(names=names)):
                    pause = _FIRST_PAUSE
                    yield snapshot
            except grpc.RpcError as error:
                if error.code() in _FINAL:
                    raise
            await asyncio.sleep(_apart(pause))
            pause = min(2 * pause, _LAST_PAUSE)


def _target(socket: str | None) -> str:
    # No TLS: what protects the socket is who has it mounted.
    return "unix:" + (socket or os.environ.get("MCSA_SOCKET") or SOCKET)


def _no_sidecar(socket: str | None, deadline: float) -> TimeoutError:
    return TimeoutError(f"no sidecar answers at {_target(socket)} within {deadline} s; is the pod annotated for one?")


def _apart(pause: float) -> float:
    return pause * (1 + random.random())  # noqa: S311 # apart from the pod's other programs; nothing secret
