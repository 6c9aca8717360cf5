"""How our repositories are configured: so that nothing acknowledged is lost, and a push is bounded before we see it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stateguard.model.policy import PushBudget
from stateguard.model.size import MIB
from stateguard.state.git import git, git_raw

_CONFIG = {
    "core.logAllRefUpdates": "true",
    "gc.auto": "0",
    "pack.threads": "1",
    "pack.windowMemory": "64m",
    "receive.autogc": "false",
}

_FSYNC_SINCE = (2, 36)

_SERVED = {
    "core.bigFileThreshold": "4m",
    "receive.advertisePushOptions": "true",
    "receive.procReceiveRefs": "refs/heads/main",
    "receive.fsckObjects": "true",
    "receive.denyDeletes": "false",
    "receive.unpackLimit": "1",
    "transfer.fsckObjects": "true",
    "uploadpack.hideRefs": "refs/stateguard/candidate",
}
"""Every push stays the one pack that it came as: ``git index-pack`` alone reads what nobody has judged, larger files
as a stream, and what hangs on what in it can be seen before anything is read (``state/packs.py``)."""

_INPUT = "receive.maxInputSize"
_ROOM_BYTES = 64 * MIB

SHIPPED_SERVICE = PushBudget()


def input_limit_bytes(push: PushBudget) -> int:
    """Return how many bytes git takes of a push at most.

    That is twice what its new files may have, and room for what does not count: commits, directories, and the bases
    of deltas.
    """
    return 2 * push.size_bytes + _ROOM_BYTES


def _durable() -> dict[str, str]:
    """Return the setting under which git flushes what it writes; it has another name since git 2.36."""
    words = git_raw(("version",)).decode().split()
    version = tuple(int(part) for part in words[2].split(".")[:2])
    return {"core.fsync": "all"} if version >= _FSYNC_SINCE else {"core.fsyncObjectFiles": "true"}


def wanted_settings(serves: PushBudget | None) -> dict[str, str]:
    """Return the git settings of a repository of ours; those of one that serves pushes are what keeps these guarded."""
    served = _SERVED | {_INPUT: str(input_limit_bytes(serves))} if serves else {}
    return _CONFIG | _durable() | served


def configure(path: Path, settings: Mapping[str, str]) -> None:
    """Write settings into a repository's configuration.

    Raises:
        StorageError: git could not.
    """
    for key, value in settings.items():
        git(path, "config", "--replace-all", key, value)


def unserve(path: Path) -> None:
    """Take out of a repository's configuration what made it a served one: it is plain git's again.

    Raises:
        StorageError: git could not.
    """
    found = settings_of(path)
    for key in (*_SERVED, _INPUT):
        if key.lower() in found:
            git(path, "config", "--unset-all", key)


def settings_of(path: Path) -> dict[str, str]:
    """Return a repository's own git settings, keys in lower case; of several values the last one.

    Raises:
        StorageError: the configuration cannot be read.
    """
    listed = git(path, "config", "--local", "--list", "--null").decode(errors="replace")
    return dict(line.partition("\n")[::2] for line in listed.split("\0") if line)


def settings_unlike_wanted(path: Path, serves: PushBudget | None) -> dict[str, str]:
    """Return what a repository of ours should be configured with and is not.

    Raises:
        StorageError: the configuration cannot be read.
    """
    found = settings_of(path)
    return {k: v for k, v in wanted_settings(serves).items() if found.get(k.lower()) != v}
