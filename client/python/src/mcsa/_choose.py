"""Which import or kubeconfig context is meant. The answer is the same for every client library."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mcsa._imports import ConfigError, NoImportError, import_names, imports_directory, single_import_name


@dataclass(frozen=True)
class Import:
    """A mounted import."""

    directory: Path


@dataclass(frozen=True)
class Context:
    """A kubeconfig context."""

    kubeconfig: str
    name: str
    namespace: str
    token_file: Path | None  # of its user; client libraries read it once
    runs_plugin: bool  # an exec plugin logs its user in


@dataclass(frozen=True)
class InCluster:
    """The pod's own service account."""


Choice = Import | Context | InCluster


@dataclass(frozen=True)
class Options:
    """Where to look. None means the standard place.

    imports_directory: $MCSA_IMPORTS_DIRECTORY, else /var/run/secrets/admiralty.io/serviceaccountimports.
    kubeconfig: a file or a colon list; $KUBECONFIG, else ~/.kube/config.
    """

    imports_directory: str | None = None
    kubeconfig: str | None = None


def choose_import(options: Options, name: str | None = None) -> Import:
    """Choose the import of that name, or the only one."""
    directory = imports_directory(options.imports_directory)
    if name is None:
        return Import(directory / single_import_name(directory))
    if name not in import_names(directory):
        raise NoImportError(f"no service account import {name!r} mounted in {directory}")
    return Import(directory / name)


def choose(options: Options, name: str | None = None) -> Choice:
    """Choose the import, else the kubeconfig context, else (without a name) the pod's own service account."""
    try:
        return choose_import(options, name)
    except NoImportError as error:
        contexts, current = _contexts(options)
        if name is None:
            if current and current not in contexts:
                # Falling through to the pod's own cluster, one would call another cluster than was meant.
                raise ConfigError(f"kubeconfig: current-context {current!r} names no context") from None
            return contexts[current] if current else InCluster()
        if name not in contexts:
            there_are = ", ".join(sorted(contexts)) or "none"
            raise NoImportError(f"{error}, and no kubeconfig context of that name; there are: {there_are}") from None
        return contexts[name]


def choose_all(options: Options, errors: dict[str, Exception], *, contexts: bool) -> dict[str, Choice]:
    """Choose all imports, and all kubeconfig contexts of other names. What cannot be listed goes to `errors`."""
    chosen: dict[str, Choice] = {}
    directory = imports_directory(options.imports_directory)
    if contexts:
        try:
            chosen.update(_contexts(options)[0])
        except ConfigError as error:
            errors["kubeconfig"] = error
    try:
        chosen.update({name: Import(directory / name) for name in import_names(directory)})
    except ConfigError as error:
        errors["imports"] = error
    return chosen


def _contexts(options: Options) -> tuple[dict[str, Context], str | None]:
    """Read the contexts, and which is the current one, of all files: the first to name a thing wins, as for kubectl."""
    home = os.environ.get("HOME")
    default = f"{home}/.kube/config" if home else ""
    path = options.kubeconfig or os.environ.get("KUBECONFIG") or default
    contexts: dict[str, dict[str, Any]] = {}
    users: dict[str, dict[str, Any]] = {}
    current = None
    for file in map(Path, filter(None, path.split(os.pathsep))):
        try:
            content = yaml.safe_load(file.read_text()) or {}
            current = current or content.get("current-context")
            for kind, found in (("context", contexts), ("user", users)):
                named = [(str(entry["name"]), dict(entry.get(kind) or {})) for entry in content.get(kind + "s") or []]
                _refuse_duplicates(file, kind, [name for name, _ in named])
                for name, body in named:
                    if token_file := body.get("tokenFile"):
                        body["tokenFile"] = file.parent / token_file
                    found.setdefault(name, body)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"kubeconfig: {error}") from error
        except (yaml.YAMLError, ValueError, AttributeError, TypeError, KeyError) as error:
            # Its text may quote the file, which may hold a token.
            raise ConfigError(f"{file} is no kubeconfig ({type(error).__name__})") from None
    return {name: _context(path, name, body, users) for name, body in contexts.items()}, current


def _context(path: str, name: str, body: dict[str, Any], users: dict[str, dict[str, Any]]) -> Context:
    user = users.get(str(body.get("user")), {})
    token_file = user.get("tokenFile")  # comes before a token beside it, as for kubectl
    return Context(path, name, body.get("namespace") or "default", token_file, "exec" in user and not token_file)


def _refuse_duplicates(file: Path, kind: str, names: list[str]) -> None:
    duplicates = {name for name in names if names.count(name) > 1}
    if duplicates:
        raise ConfigError(f"{file} has several {kind}s named {', '.join(sorted(duplicates))}")
