"""Configurations of the clusters that this pod may call, for the Python package `kubernetes_asyncio`.

The functions are those of `mcsa`, to be awaited:

    configuration, namespace = await mcsa.aio.config_and_namespace()
    async with kubernetes_asyncio.client.ApiClient(configuration) as client:
        api = kubernetes_asyncio.client.CoreV1Api(client)
"""

from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import load_incluster_config, load_kube_config
from kubernetes_asyncio.config.kube_config import KubeConfigLoader

from mcsa._choose import Choice, Context, Import, Options, choose, choose_all, choose_import
from mcsa._configs import (
    ConfigAndNamespace,
    NamedConfigs,
    check_login,
    configure_import,
    follow_token_file,
    loading,
    own_namespace,
)
from mcsa._imports import ConfigError

__all__ = [
    "all_named_configs_and_namespaces",
    "all_service_account_import_configs_and_namespaces",
    "config_and_namespace",
    "named_config_and_namespace",
    "named_service_account_import_config_and_namespace",
    "service_account_import_config_and_namespace",
]

_DEFAULT = Options()


async def service_account_import_config_and_namespace(options: Options = _DEFAULT) -> ConfigAndNamespace[Configuration]:
    """Return the only import. Raises NoImportError, SeveralImportsError (which lists them), NoTokenError."""
    return await _load(choose_import(options))


async def named_service_account_import_config_and_namespace(
    name: str, options: Options = _DEFAULT
) -> ConfigAndNamespace[Configuration]:
    """Return the import of that name."""
    return await _load(choose_import(options, name))


async def all_service_account_import_configs_and_namespaces(options: Options = _DEFAULT) -> NamedConfigs[Configuration]:
    """Return all imports by name."""
    return await _load_all(options, contexts=False)


async def config_and_namespace(options: Options = _DEFAULT) -> ConfigAndNamespace[Configuration]:
    """Return the only import, else the current kubeconfig context, else the pod's own service account.

    Raises SeveralImportsError, which lists them, if there are several.
    """
    return await _load(choose(options))


async def named_config_and_namespace(name: str, options: Options = _DEFAULT) -> ConfigAndNamespace[Configuration]:
    """Return the import of that name, else the kubeconfig context of that name."""
    return await _load(choose(options, name))


async def all_named_configs_and_namespaces(options: Options = _DEFAULT) -> NamedConfigs[Configuration]:
    """Return all imports and all kubeconfig contexts by name."""
    return await _load_all(options, contexts=True)


async def _load_all(options: Options, *, contexts: bool) -> NamedConfigs[Configuration]:
    found: NamedConfigs[Configuration] = NamedConfigs()
    for name, choice in choose_all(options, found.errors, contexts=contexts).items():
        try:
            found.configs[name] = await _load(choice)
        except ConfigError as error:
            found.errors[name] = error
    return found


async def _load(choice: Choice) -> ConfigAndNamespace[Configuration]:
    configuration = Configuration()
    if isinstance(choice, Import):
        return ConfigAndNamespace(configuration, configure_import(configuration, choice))
    with loading(choice):
        if isinstance(choice, Context):
            loader = await load_kube_config(choice.kubeconfig, choice.name, configuration)
            check_login(configuration, choice)
            if choice.token_file:
                follow_token_file(configuration, choice.token_file)
            elif choice.runs_plugin and configuration.api_key:
                _run_plugin_again(configuration, loader)
            return ConfigAndNamespace(configuration, choice.namespace)
        load_incluster_config(configuration)
        return ConfigAndNamespace(configuration, own_namespace())


def _run_plugin_again(configuration: Configuration, loader: KubeConfigLoader) -> None:
    """Let a configuration, and copies of it, have a new token of an exec plugin once the last has ended."""

    async def refresh(of: Configuration) -> None:
        await loader.load_from_exec_plugin()  # which keeps a token that has not ended
        of.api_key["BearerToken"] = loader.token

    configuration.refresh_api_key_hook = refresh
