import os
from pathlib import Path

import pytest
from conftest import Imports

import mcsa
import mcsa.aio

KUBECONFIG = """
current-context: home
clusters: [{name: home, cluster: {server: "https://home.example"}}]
users: [{name: home, user: {token: canary}}]
contexts:
- {name: home, context: {cluster: home, user: home, namespace: lab}}
- {name: east, context: {cluster: home, user: home}}
- {name: broken, context: {cluster: nowhere, user: home}}
"""


@pytest.fixture
def kubeconfig(tmp_path: Path, imports: Imports) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    return path


def test_the_only_import_comes_before_the_kubeconfig(imports: Imports, kubeconfig: Path) -> None:
    imports.add("east")
    found = mcsa.config_and_namespace(imports.options)
    assert (found.configuration.host, found.namespace) == ("https://east.example", "remote")


def test_several_imports_where_one_is_expected_are_listed(imports: Imports, kubeconfig: Path) -> None:
    imports.add("west")
    imports.add("east")
    with pytest.raises(mcsa.SeveralImportsError, match="east, west"):
        mcsa.config_and_namespace(imports.options)


def test_without_imports_the_current_context_is_taken(imports: Imports, kubeconfig: Path) -> None:
    found = mcsa.config_and_namespace(imports.options)
    assert (found.configuration.host, found.namespace) == ("https://home.example", "lab")


def test_a_current_context_that_is_none_is_an_error(imports: Imports, kubeconfig: Path) -> None:
    kubeconfig.write_text(KUBECONFIG.replace("current-context: home", "current-context: hoem"))
    with pytest.raises(mcsa.ConfigError, match="current-context 'hoem' names no context"):
        mcsa.config_and_namespace(imports.options)


def test_with_nothing_at_all_there_is_an_error(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.delenv("HOME", raising=False)
    with pytest.raises(mcsa.ConfigError):
        mcsa.config_and_namespace(imports.options)


def test_an_unreadable_directory_is_not_taken_for_an_empty_one(imports: Imports, kubeconfig: Path) -> None:
    imports.directory.write_text("a file")
    with pytest.raises(mcsa.ConfigError, match="service account imports"):
        mcsa.config_and_namespace(imports.options)


def test_imports_without_permission_are_not_taken_for_none(imports: Imports, kubeconfig: Path) -> None:
    imports.add("east")
    imports.directory.chmod(0)
    root = os.geteuid() == 0  # who may read everything
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(mcsa.ConfigError, match=r"Permission denied.*imports"):
            mcsa.config_and_namespace(imports.options)
    finally:
        if root:
            os.seteuid(0)
        imports.directory.chmod(0o755)


def test_a_name_means_the_import_then_the_context(imports: Imports, kubeconfig: Path) -> None:
    imports.add("east")
    imports.add("west")
    assert mcsa.named_config_and_namespace("east", imports.options).configuration.host == "https://east.example"
    assert mcsa.named_config_and_namespace("home", imports.options).configuration.host == "https://home.example"


def test_a_name_that_is_nowhere_gets_the_list(imports: Imports, kubeconfig: Path) -> None:
    with pytest.raises(mcsa.NoImportError, match="broken, east, home"):
        mcsa.named_config_and_namespace("missing", imports.options)


def test_a_name_is_no_path(imports: Imports) -> None:
    imports.add("east")
    for name in ("..", "../imports/east", "east/..data", ""):
        with pytest.raises(mcsa.NoImportError):
            mcsa.named_service_account_import_config_and_namespace(name, imports.options)


def test_a_revoked_import_is_no_reason_to_take_the_context(imports: Imports, kubeconfig: Path) -> None:
    imports.add("east").replace({"server": "https://east.example", "namespace": "remote"})
    with pytest.raises(mcsa.NoTokenError):
        mcsa.named_config_and_namespace("east", imports.options)
    assert isinstance(mcsa.all_named_configs_and_namespaces(imports.options).errors["east"], mcsa.NoTokenError)


def test_all_gives_what_works_and_why_the_others_do_not(imports: Imports, kubeconfig: Path) -> None:
    imports.add("east")
    imports.add("west")
    imports.add("empty", token=" ")
    found = mcsa.all_named_configs_and_namespaces(imports.options)
    assert sorted(found.configs) == ["east", "home", "west"]
    assert sorted(found.errors) == ["broken", "empty"]
    assert found.configs["east"].namespace == "remote", "the import wins over the context of its name"


async def test_asyncio_chooses_the_same(imports: Imports, kubeconfig: Path) -> None:
    imports.add("east")
    imports.add("empty", token=" ")
    found = await mcsa.aio.all_named_configs_and_namespaces(imports.options)
    assert (sorted(found.configs), sorted(found.errors)) == (["east", "home"], ["broken", "empty"])
    assert (await mcsa.aio.named_config_and_namespace("home", imports.options)).namespace == "lab"


def test_a_kubeconfig_with_duplicate_names_leaves_imports_usable(imports: Imports, kubeconfig: Path) -> None:
    imports.add("west")
    kubeconfig.write_text(KUBECONFIG.replace("name: east", "name: home"))
    found = mcsa.all_named_configs_and_namespaces(imports.options)
    assert list(found.configs) == ["west"]
    assert "several contexts named home" in str(found.errors["kubeconfig"])


MALFORMED = [
    "token: [canary",
    "- canary",
    "contexts: [canary]",
    "contexts: canary",
    "contexts: [{name: a, context: canary}]",
    "users: [canary]",
    "users: [{user: {token: canary}}]",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_file_that_is_no_kubeconfig_is_not_quoted(imports: Imports, kubeconfig: Path, text: str) -> None:
    kubeconfig.write_text(text)
    with pytest.raises(mcsa.ConfigError) as raised:
        mcsa.config_and_namespace(imports.options)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("text", MALFORMED)
def test_nor_does_it_hide_the_imports(imports: Imports, kubeconfig: Path, text: str) -> None:
    imports.add("east")
    kubeconfig.write_text(text)
    found = mcsa.all_named_configs_and_namespaces(imports.options)
    assert (list(found.configs), list(found.errors)) == (["east"], ["kubeconfig"])


def test_of_several_kubeconfigs_the_first_to_name_a_thing_wins(imports: Imports, kubeconfig: Path) -> None:
    second = kubeconfig.with_name("second")
    second.write_text(KUBECONFIG.replace("current-context: home", "current-context: east"))
    options = mcsa.Options(str(imports.directory), kubeconfig=f"{kubeconfig}:{second}")
    assert mcsa.config_and_namespace(options).namespace == "lab"
