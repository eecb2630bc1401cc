"""Configurations of the clusters that this pod may call, for the Python package `kubernetes`.

They come from imports mounted in the pod, from kubeconfig contexts, or from the pod's own service account. Their tokens
never go stale: the import is looked at before each request. What is returned may be kept for the life of the program:

    configuration, namespace = mcsa.config_and_namespace()
    api = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))

An import wins over a kubeconfig context of the same name, in every function. `mcsa.aio` has the same functions for
`kubernetes_asyncio`, and `mcsa.sidecar` gives credentials pushed over gRPC. Functions may be called from any thread.
Errors are ConfigErrors; no text of theirs holds a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from mcsa._imports import ConfigError, NoImportError, NoTokenError, SeveralImportsError

if TYPE_CHECKING:
    from kubernetes.client import Configuration

__all__ = [
    "ConfigAndNamespace",
    "ConfigError",
    "NamedConfigs",
    "NoImportError",
    "NoTokenError",
    "Options",
    "SeveralImportsError",
    "all_named_configs_and_namespaces",
    "all_service_account_import_configs_and_namespaces",
    "config_and_namespace",
    "named_config_and_namespace",
    "named_service_account_import_config_and_namespace",
    "service_account_import_config_and_namespace",
]

_DEFAULT = Options()


def service_account_import_config_and_namespace(options: Options = _DEFAULT) -> ConfigAndNamespace[Configuration]:
    """Return the only import. Raises NoImportError, SeveralImportsError (which lists them), NoTokenError."""
    return _load(choose_import(options))


def named_service_account_import_config_and_namespace(
    name: str, options: Options = _DEFAULT
) -> ConfigAndNamespace[Configuration]:
    """Return the import of that name."""
    return _load(choose_import(options, name))


def all_service_account_import_configs_and_namespaces(options: Options = _DEFAULT) -> NamedConfigs[Configuration]:
    """Return all imports by name."""
    return _load_all(options, contexts=False)


def config_and_namespace(options: Options = _DEFAULT) -> ConfigAndNamespace[Configuration]:
    """Return the only import, else the current kubeconfig context, else the pod's own service account.

    Raises SeveralImportsError, which lists them, if there are several.
    """
    return _load(choose(options))


def named_config_and_namespace(name: str, options: Options = _DEFAULT) -> ConfigAndNamespace[Configuration]:
    """Return the import of that name, else the kubeconfig context of that name."""
    return _load(choose(options, name))


def all_named_configs_and_namespaces(options: Options = _DEFAULT) -> NamedConfigs[Configuration]:
    """Return all imports and all kubeconfig contexts by name."""
    return _load_all(options, contexts=True)


def _load_all(options: Options, *, contexts: bool) -> NamedConfigs[Configuration]:
    found: NamedConfigs[Configuration] = NamedConfigs()
    for name, choice in choose_all(options, found.errors, contexts=contexts).items():
        try:
            found.configs[name] = _load(choice)
        except ConfigError as error:
            found.errors[name] = error
    return found


def _load(choice: Choice) -> ConfigAndNamespace[Configuration]:
    # Here, so that mcsa.aio and mcsa.sidecar can do without it.
    from kubernetes.client import Configuration
    from kubernetes.config import load_incluster_config, load_kube_config

    configuration = Configuration()
    if isinstance(choice, Import):
        return ConfigAndNamespace(configuration, configure_import(configuration, choice))
    with loading(choice):
        if isinstance(choice, Context):
            load_kube_config(choice.kubeconfig, choice.name, configuration)
            check_login(configuration, choice)
            if choice.token_file:
                follow_token_file(configuration, choice.token_file)
            return ConfigAndNamespace(configuration, choice.namespace)
        load_incluster_config(configuration)
        return ConfigAndNamespace(configuration, own_namespace())
