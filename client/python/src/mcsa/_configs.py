"""What the functions of this package return, for either client library."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from mcsa._choose import Choice, Context, Import
from mcsa._imports import ConfigError, TokenFile, read_import

C = TypeVar("C")


class ConfigAndNamespace(NamedTuple, Generic[C]):
    """A client library's configuration, and the namespace of the service account in its own cluster."""

    configuration: C
    namespace: str


@dataclass(frozen=True)
class NamedConfigs(Generic[C]):
    """What could be had, by name, and why the rest could not.

    An error that is about no single name (a directory that cannot be listed) is under "imports" or "kubeconfig".
    """

    configs: dict[str, ConfigAndNamespace[C]] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)


def configure_import(configuration: Any, choice: Import) -> str:
    """Let a configuration, of either client library, lead to an import, and return the namespace there."""
    state = read_import(choice.directory)
    configuration.host = state.server
    ca = choice.directory / "ca.crt"
    if ca.exists() and ca.stat().st_size:  # else the system's roots are trusted
        configuration.ssl_ca_cert = str(ca)
    follow_token_file(configuration, choice.directory / "token")
    return state.namespace


def follow_token_file(configuration: Any, path: Path) -> None:
    """Let a configuration look at the token's file before each request; copies of it do so as well."""
    file = TokenFile(path)

    def refresh(of: Any, *_: object) -> None:
        # The client libraries differ, by version too, in which of these names they read.
        of.api_key["BearerToken"] = of.api_key["authorization"] = f"Bearer {file.current()}"

    refresh(configuration)
    configuration.refresh_api_key_hook = refresh


def check_login(configuration: Any, choice: Context) -> None:
    """Raise ConfigError if the context's exec plugin gave no credential, which the client libraries only log."""
    if choice.runs_plugin and not configuration.api_key and not configuration.cert_file:
        raise ConfigError(f"kubeconfig context {choice.name!r}: its exec plugin gave no credential; run it by hand")


def own_namespace() -> str:
    """Return the namespace of this pod."""
    return Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text().strip()


@contextlib.contextmanager
def loading(choice: Choice) -> Iterator[None]:
    """Turn what a client library raises while it loads into ConfigErrors: it has no common class for them."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        what = f"kubeconfig context {choice.name!r}" if isinstance(choice, Context) else "the pod's own service account"
        raise ConfigError(f"{what}: {error}") from error
