"""Where the secrets of agents come from: the guard home, else an encrypted file of the state that this guard opens."""

from __future__ import annotations

import contextlib

from stateguard.errors import NotFoundError, StateguardError, StorageError
from stateguard.host.home import Home
from stateguard.host.logs import warn
from stateguard.host.secrets import Secrets, text_of
from stateguard.model.secret import sealed_path
from stateguard.state.repository import Repository
from stateguard.state.treemap import TreeMap
from stateguard.text.redact import without
from stateguard.trust.age import opened


class Keeping:
    """The secrets that agents of this home get. What is set in the home wins over what the state carries."""

    def __init__(self, home: Home, repository: Repository) -> None:
        """``repository`` holds the states."""
        self._keys, self._repository, self.set = home.keys, repository, Secrets(home.secrets)
        self._handed: set[str] = set()

    def value(self, name: str, revision: str) -> str:
        """Return a secret for an agent of a commit.

        Raises:
            NotFoundError: it was not set, and the state has no file for it.
            StateguardError: it cannot be used.
        """
        try:
            value = self.set.value(name)
        except NotFoundError:
            content = self.sealed(name, revision)
            if content is None:
                raise
            value = text_of(opened(content, self._keys), name)
        self._handed.add(value)
        return value

    def conceal(self, text: str) -> str:
        """Return a line without secrets: those that are set, and those handed on since the guard began."""
        values = set(self._handed)
        try:
            for name in self.set.names():
                with contextlib.suppress(StateguardError):  # what cannot be used was handed to nobody
                    values.add(self.set.value(name))
        except StorageError as error:
            warn("secrets cannot be read; what probes say is kept to itself", error=error.message)
            return "(not shown: the secrets to leave out cannot be read)"
        return without(text, values)

    def sealed(self, name: str, revision: str) -> bytes | None:
        """Return the encrypted file of a secret in a commit, or None.

        Raises:
            StorageError: git could not be read.
        """
        if not revision:
            return None
        entry = TreeMap(self._repository, self._repository.commit(revision).tree).get(sealed_path(name))
        return None if entry is None else self._repository.blob(entry.id)

    def trouble(self, name: str, content: bytes | None) -> str:
        """Return what keeps a secret from agents, as the end of a sentence; nothing if nothing does.

        ``content`` is the encrypted file that the state has for it.
        """
        if content is None or name in self.set.names():
            return self.set.trouble(name)
        return self.unopened(name, content)

    def unopened(self, name: str, content: bytes) -> str:
        """Return why an encrypted file cannot be used, as the end of a sentence; nothing if it can."""
        try:
            text_of(opened(content, self._keys), name)
        except StorageError as error:
            return f"which cannot be used: {error.message}"
        except StateguardError as error:
            return f"which cannot be opened here: {error.message}; {error.next_step}"
        return ""


class NotHandedOn:
    """Stands in where another service manager starts the agents: what it is given is its own affair."""

    def trouble(self, name: str, content: bytes | None) -> str:
        """Say why no secret reaches them."""
        del name, content
        return "which the guard hands only to agents that it starts itself; give it to that agent's own unit or section"

    def unopened(self, name: str, content: bytes) -> str:
        """Find nothing wrong with a file that nobody here is to open."""
        del name, content
        return ""
