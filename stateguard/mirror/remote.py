"""One mirror as git sees it: what it holds, and moving its refs by compare-and-swap."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stateguard.errors import NetworkError
from stateguard.host.command import Cancel, Done
from stateguard.mirror.plan import Move
from stateguard.model.identity import ZERO
from stateguard.state.git import git_afar
from stateguard.text.escape import line
from stateguard.text.redact import redact
from stateguard.text.words import seconds

_LONGEST_REASON = 300
_ADVICE = re.compile(r"hint: |Please make sure|and the repository exists|To \S|Done$|error: atomic push failed")


class RemoteError(NetworkError):
    """The mirror did not answer, or not in time, or the connection broke."""

    def __init__(self, message: str, *, timed_out: bool = False, changed: str = "nothing was changed") -> None:
        """``timed_out``: its deadline passed."""
        super().__init__(message, changed=changed, next_step="see: stateguard mirror status")
        self.timed_out = timed_out


class DeclinedError(RemoteError):
    """The mirror answered, and did not take the refs."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository elsewhere. Nobody but this class speaks with it."""

    url: str
    cancel: Cancel

    def look(self, repository: Path, deadline_seconds: float) -> dict[str, str]:
        """Return every ref that it shows, with its object id.

        Raises:
            RemoteError: it did not answer.
        """
        done = self._git(repository, ("ls-remote", "--refs", "--", self.url), deadline_seconds)
        rows = (row.partition("\t") for row in done.output.decode(errors="replace").splitlines())
        return {name: object_id for object_id, _, name in rows if name}

    def push(self, repository: Path, moves: Sequence[Move], deadline_seconds: float) -> None:
        """Move its refs, all or none, each only if it holds what its move says.

        Raises:
            DeclinedError: one of them holds something else, or the mirror does not want them.
            RemoteError: it did not answer; the refs may have been moved nevertheless.
        """
        leases = [f"--force-with-lease={m.ref}:{'' if m.old == ZERO else m.old}" for m in moves]
        refs = [f"{'' if m.new == ZERO else m.new}:{m.ref}" for m in moves]
        words = ("push", "--porcelain", "--atomic", "--no-verify", "--no-signed", *leases, "--", self.url, *refs)
        self._git(repository, words, deadline_seconds, changed="unknown: the mirror may have taken them")

    def fetch(self, repository: Path, deadline_seconds: float, ref: str = "refs/*") -> None:
        """Fetch everything that it holds, or one ref, into a repository, under the same names; every object is checked.

        Raises:
            RemoteError: it did not answer, or what it sent is damaged.
        """
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", self.url, f"+{ref}:{ref}")
        self._git(repository, words, deadline_seconds)

    def _git(
        self, repository: Path, words: Sequence[str], deadline_seconds: float, changed: str = "nothing was changed"
    ) -> Done:
        done = git_afar(repository, *words, cancel=self.cancel, deadline_seconds=deadline_seconds)
        if done.status is None and self.cancel.cancelled:
            raise RemoteError("stopped before it was done", changed=changed)
        if done.status is None:
            message = f"no answer within {seconds(deadline_seconds)}"
            raise RemoteError(message, timed_out=True, changed=changed)
        rejected = [
            row.split("\t")[-1] for row in done.output.decode(errors="replace").splitlines() if row[:2] == "!\t"
        ]
        if done.status and rejected:
            unlike = [one for one in rejected if "atomic" not in one] or rejected
            raise DeclinedError(self._shown(f"{unlike[0]}; {_reason(done.errors)}"))
        if done.status:
            raise RemoteError(self._shown(_reason(done.errors)), changed=changed)
        return done

    def _shown(self, text: str) -> str:
        """Return what was said on one line of bounded length, without secrets, those of the address above all."""
        given, at, _ = self.url.partition("://")[2].partition("/")[0].rpartition("@")
        clean = line(redact(text.replace(given + at, "***@") if given else text))
        return clean if len(clean) <= _LONGEST_REASON else clean[: _LONGEST_REASON - 1] + "…"


def _reason(errors: bytes) -> str:
    """Return what git and the other side said, without advice."""
    said = [row.strip() for row in errors.decode(errors="replace").splitlines()]
    told = [row.removeprefix("fatal: ").rstrip(": ") for row in said if row and not _ADVICE.match(row)]
    return "; ".join(told) or "git said nothing"
