"""Imports as the webhook mounts them: folders of files, all of which are replaced at once."""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

IMPORTS_DIRECTORY = "/var/run/secrets/admiralty.io/serviceaccountimports"


class ConfigError(Exception):
    """There is no configuration to return. The text says what was looked for, and where."""


class NoImportError(ConfigError):
    """No import is mounted, or none of the name asked for."""


class SeveralImportsError(ConfigError):
    """One import was expected and there are several, which the text lists."""


class NoTokenError(ConfigError):
    """An import holds no token: it was revoked, or is not ready yet."""


def imports_directory(given: str | None) -> Path:
    """Return where the imports are: as given, else $MCSA_IMPORTS_DIRECTORY, else the standard place."""
    return Path(given or os.environ.get("MCSA_IMPORTS_DIRECTORY") or IMPORTS_DIRECTORY)


def import_names(directory: Path) -> list[str]:
    """Return the names of the imports, sorted. Raises ConfigError if the directory cannot be listed."""
    try:
        return sorted(entry.name for entry in directory.iterdir() if entry.name[0] != "." and entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"service account imports: {error}") from error


def single_import_name(directory: Path) -> str:
    """Return the name of the only import."""
    names = import_names(directory)
    if not names:
        raise NoImportError(f"no service account import mounted in {directory}")
    if len(names) > 1:
        raise SeveralImportsError(f"several service account imports mounted: {', '.join(names)}; ask for one by name")
    return names[0]


@dataclass(frozen=True)
class ImportState:
    """One state of an import's files, never half of an old and half of a new one."""

    server: str
    namespace: str
    token: str = field(repr=False)


def read_import(directory: Path) -> ImportState:
    """Read one state: what "..data" leads to, as the kubelet and our sidecar replace all files by renaming that link.

    A folder without it is read as it is. Raises NoTokenError, or ConfigError for files that are missing or empty.
    """
    for _ in range(5):
        state = _current_state(directory)
        try:
            return ImportState(_read(state, "server"), _read(state, "namespace"), _read(state, "token"))
        except ConfigError as error:
            if state == _current_state(directory):
                raise type(error)(f"service account import {directory.name!r}: {error}") from error.__cause__
    raise ConfigError(f"service account import {directory.name!r}: replaced faster than it can be read")


def _current_state(directory: Path) -> Path:
    try:
        return directory / (directory / "..data").readlink()
    except OSError:
        return directory


def _read(state: Path, name: str) -> str:
    try:
        text = (state / name).read_text().strip()
    except FileNotFoundError as error:
        if name == "token":
            raise NoTokenError("no token: it was revoked, or is not ready yet (its status says which)") from error
        raise ConfigError(f"no file {name}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"file {name}: {error}") from error
    if not text:
        raise ConfigError(f"file {name} is empty")
    return text


class TokenFile:
    """The token in a file that is replaced now and then. May be used from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._identity: tuple[int, int, int] | None = None
        self._token = ""

    def current(self) -> str:
        """Return the token as it is now: the file is looked at each time, and read when it was replaced.

        Raises NoTokenError if it was taken away. A file that cannot be read for any other reason leaves the last token.
        """
        with self._lock:
            try:
                self._refresh()
            except FileNotFoundError:
                try:
                    self._refresh()  # the state may have been replaced while its path was walked
                except FileNotFoundError:
                    raise NoTokenError(f"{self._path}: no token: the import was revoked") from None
            except (OSError, ValueError) as error:
                if not self._token:
                    raise ConfigError(f"token file: {error}") from error
            return self._token

    def _refresh(self) -> None:
        status = self._path.stat()
        identity = (status.st_ino, status.st_mtime_ns, status.st_size)
        if identity != self._identity:
            token = self._path.read_text().strip()
            if token:
                self._identity, self._token = identity, token
