"""The secrets of a guard home: a file each, which nobody but the guard's own user can read.

Names are told, values never: no error, log or document of this module holds one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stateguard.errors import NotFoundError, StorageError, TrustError, UsageProblemError
from stateguard.host import files
from stateguard.host.walk import open_root
from stateguard.model.secret import MAX_BYTES, NAMES, is_secret_name

_CHMOD = 0o077


class Secrets:
    """The values in one directory, by name. Nothing is remembered: each is read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        """``folder`` need not be there."""
        self._folder = folder

    def names(self) -> list[str]:
        """Return the names of all that were set, sorted; whether one can be used is another question.

        Raises:
            StorageError: the directory cannot be read.
        """
        try:
            return sorted(name for name in os.listdir(self._folder) if is_secret_name(name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"{self._folder} cannot be read: {error.strerror}") from error

    def value(self, name: str) -> str:
        """Return a secret.

        Raises:
            NotFoundError: it was not set.
            TrustError: others can read it, or it is not this user's, or no file of its own.
            StorageError: it cannot be read, or holds what no variable can.
        """
        if not is_secret_name(name):
            raise _unset(name)
        path = self._folder / name
        try:
            with open_root(self._folder) as directory:
                content, found = files.read_at(directory, name)
        except FileNotFoundError as error:
            raise _unset(name) from error
        except OSError as error:
            raise StorageError(f"the secret {path} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            message = f"the secret {path} is no file of this user's"
            raise TrustError(message, next_step=f"set it anew: stateguard secret set {name}")
        if found.st_mode & _CHMOD:
            message = f"the secret {path} can be read by others (mode {stat.S_IMODE(found.st_mode):04o})"
            hint = f"chmod 600 {path}, and replace the secret where it came from if others may have read it"
            raise TrustError(message, next_step=hint)
        return text_of(content, name)

    def trouble(self, name: str) -> str:
        """Return what keeps a secret from being used, and what to do, as the end of a sentence; empty if it can be."""
        try:
            self.value(name)
        except NotFoundError:
            return f"which is not set here; set it: stateguard secret set {name}"
        except (TrustError, StorageError) as error:
            return f"which cannot be used: {error.message}; {error.next_step or 'see: stateguard doctor'}"
        return ""

    def keep(self, name: str, value: str) -> None:
        """Set a secret, durably; one that was set is replaced.

        Raises:
            UsageProblemError: the name or the value cannot be one; neither is repeated.
            StorageError: the disk refused.
        """
        require_secret(name, value)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._folder.chmod(0o700)
            files.replace(self._folder / name, value.encode(), 0o600)
        except OSError as error:
            raise StorageError(f"{self._folder / name} cannot be written: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """Remove a secret.

        Raises:
            NotFoundError: it was not set.
            StorageError: the disk refused.
        """
        if name not in self.names():
            raise _unset(name)
        try:
            with open_root(self._folder) as directory:
                files.remove_at(directory, name)
        except OSError as error:
            raise StorageError(f"{self._folder / name} cannot be removed: {error.strerror}") from error


def require_secret(name: str, value: str) -> None:
    """Refuse what cannot be the name or the value of a secret; the error repeats neither.

    Raises:
        UsageProblemError: it cannot.
    """
    if not is_secret_name(name):
        raise UsageProblemError(f"that is no name of a secret; names are {NAMES}", next_step="choose another name")
    if not value:
        raise UsageProblemError("the value is empty", next_step="pipe it in: < FILE, or type it")
    if "\0" in value or len(value.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        message = f"the value holds NUL or has more than {MAX_BYTES // 1024} KiB; no variable can hold it"
        raise UsageProblemError(message)


def _unset(name: str) -> NotFoundError:
    return NotFoundError(f"the secret {name} is not set", next_step=f"set it: stateguard secret set {name}")


def text_of(content: bytes, name: str) -> str:
    """Return the value in the bytes of a secret.

    Raises:
        StorageError: no variable can hold it; the error does not repeat it.
    """
    try:
        value = content.decode()
    except UnicodeDecodeError:
        value = ""
    if not value or "\0" in value or len(content) > MAX_BYTES:
        message = f"the secret {name} is empty, no UTF-8, holds NUL or has more than {MAX_BYTES // 1024} KiB"
        raise StorageError(message, next_step=f"set it anew: stateguard secret set {name}") from None
    return value
