import threading
from collections.abc import Callable
from pathlib import Path

import kubernetes
import kubernetes_asyncio
import pytest
from conftest import Imports, Server, Volume, files

import mcsa
import mcsa.aio
from mcsa._imports import TokenFile, read_import

REVOKED = {"server": "https://east.example", "namespace": "remote"}


def caller(configuration: kubernetes.client.Configuration) -> Callable[[], object]:
    api = kubernetes.client.VersionApi(kubernetes.client.ApiClient(configuration))
    return lambda: api.get_code(_preload_content=False)


def test_a_renewed_token_is_sent_with_the_next_request(imports: Imports, server: Server) -> None:
    volume = imports.add("east", server.url, "first")
    call = caller(mcsa.config_and_namespace(imports.options).configuration)
    call()
    volume.replace(files(server.url, "second"))
    call()
    assert server.sent == ["Bearer first", "Bearer second"]


async def test_and_with_asyncio(imports: Imports, server: Server) -> None:
    volume = imports.add("east", server.url, "first")
    configuration, _ = await mcsa.aio.config_and_namespace(imports.options)
    async with kubernetes_asyncio.client.ApiClient(configuration) as client:
        call = kubernetes_asyncio.client.VersionApi(client).get_code
        await call(_preload_content=False)
        volume.replace(files(server.url, "second"))
        await call(_preload_content=False)
    assert server.sent == ["Bearer first", "Bearer second"]


def test_the_token_file_of_a_context_is_followed_too(imports: Imports, server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token-file"
    token.write_text("first\n")
    (tmp_path / "kubeconfig").write_text(
        f"current-context: a\nclusters: [{{name: a, cluster: {{server: '{server.url}'}}}}]\n"
        "users: [{name: a, user: {tokenFile: token-file}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n"
    )
    call = caller(mcsa.config_and_namespace(imports.options).configuration)
    token.write_text("second\n")
    call()
    assert server.sent == ["Bearer second"]


def kubeconfig_with_plugin(folder: Path, server: str, plugin: str) -> None:
    (folder / "plugin").write_text(f"#!/bin/sh\n{plugin}\n")
    (folder / "plugin").chmod(0o755)
    user = f"exec: {{apiVersion: client.authentication.k8s.io/v1, command: {folder}/plugin, interactiveMode: Never}}"
    (folder / "kubeconfig").write_text(
        f"current-context: a\nclusters: [{{name: a, cluster: {{server: '{server}'}}}}]\n"
        f"users: [{{name: a, user: {{{user}}}}}]\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n"
    )


# A token, numbered, that has ended already.
COUNTING = """
cd "$(dirname "$0")"; echo >>calls
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status":
       {"token": "'$(wc -l <calls)'", "expirationTimestamp": "2020-01-01T00:00:00Z"}}'"""


def test_the_exec_plugin_of_a_context_runs_again(imports: Imports, server: Server, tmp_path: Path) -> None:
    kubeconfig_with_plugin(tmp_path, server.url, COUNTING)
    caller(mcsa.config_and_namespace(imports.options).configuration)()
    assert server.sent == ["Bearer 2"]


async def test_the_exec_plugin_runs_again_with_asyncio(imports: Imports, server: Server, tmp_path: Path) -> None:
    kubeconfig_with_plugin(tmp_path, server.url, COUNTING)
    configuration, _ = await mcsa.aio.config_and_namespace(imports.options)
    async with kubernetes_asyncio.client.ApiClient(configuration) as client:
        await kubernetes_asyncio.client.VersionApi(client).get_code(_preload_content=False)
    assert server.sent == ["Bearer 2"]


async def test_an_exec_plugin_that_fails_is_an_error(imports: Imports, server: Server, tmp_path: Path) -> None:
    kubeconfig_with_plugin(tmp_path, server.url, "exit 1")
    with pytest.raises(mcsa.ConfigError, match="kubeconfig context 'a'"):
        mcsa.config_and_namespace(imports.options)
    with pytest.raises(mcsa.ConfigError, match="kubeconfig context 'a'"):
        await mcsa.aio.config_and_namespace(imports.options)


async def test_an_empty_ca_means_the_systems_roots(imports: Imports) -> None:
    volume = imports.add("east")
    volume.replace({**files("https://east.example", "token"), "ca.crt": ""})
    kubernetes.client.ApiClient(mcsa.config_and_namespace(imports.options).configuration)
    await kubernetes_asyncio.client.ApiClient((await mcsa.aio.config_and_namespace(imports.options))[0]).close()


def test_a_token_that_was_taken_away_is_not_sent_again(imports: Imports, server: Server) -> None:
    volume = imports.add("east", server.url, "canary")
    call = caller(mcsa.config_and_namespace(imports.options).configuration)
    volume.replace(REVOKED)
    with pytest.raises(mcsa.NoTokenError) as raised:
        call()
    assert server.sent == []
    assert "canary" not in str(raised.value)


def test_a_copy_follows_as_well(imports: Imports, server: Server) -> None:
    volume = imports.add("east", server.url, "first")
    kubernetes.client.Configuration.set_default(mcsa.config_and_namespace(imports.options).configuration)
    volume.replace(files(server.url, "second"))
    caller(kubernetes.client.Configuration.get_default_copy())()
    assert server.sent == ["Bearer second"]


def test_one_state_is_read_even_while_it_is_replaced(tmp_path: Path) -> None:
    def state(text: str) -> dict[str, str]:
        return {"server": text, "namespace": text, "ca.crt": text, "token": text}

    volume = Volume(tmp_path / "east", state("0"))
    done = threading.Event()

    def replace() -> None:
        number = 1
        while not done.wait(0.001):
            volume.replace(state(str(number)))
            number += 1

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        for _ in range(2000):
            read = read_import(volume.directory)
            assert read.server == read.namespace == read.token
    finally:
        done.set()
        writer.join()


def test_a_state_does_not_show_its_token(imports: Imports) -> None:
    assert "canary" not in repr(read_import(imports.add("east", token="canary").directory))


def test_an_unreadable_file_leaves_the_last_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    file = TokenFile(path)
    assert file.current() == "first"
    path.write_bytes(b"\xff\xff")
    assert file.current() == "first"
