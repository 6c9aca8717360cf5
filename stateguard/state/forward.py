"""Commits that the guard writes: the first one, and forward commits that bring an earlier state back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pygit2.enums import ObjectType

from stateguard.model.identity import short
from stateguard.state.commits import raw_commit, with_signature
from stateguard.state.repository import CommitView, Repository

Signer = Callable[[bytes], str]
"""Signs the bytes of a git object (namespace ``git``); returns the armored signature."""


def signed_commit(
    repository: Repository,
    tree: str,
    parents: Sequence[str],
    message: str,
    at: float,
    signer: Signer,
    author: str = "",
) -> str:
    """Write a commit signed by the guard, durably; returns its id. ``author`` is ``Name <address>``, else the guard.

    Raises:
        StorageError: the disk refused.
    """
    unsigned = raw_commit(tree, parents, message, at, author=author)
    return repository.write(ObjectType.COMMIT, with_signature(unsigned, signer(unsigned)))


def rollback_message(
    target: str, cause: str, incident: int | None, operation: int, withdrawn: Sequence[CommitView], head: str
) -> str:
    """Return the message of a forward commit: what, why, and how the change comes back to be mended."""
    lines = [f"Roll back to {target}", "", cause]
    if incident is not None:
        lines += ["", f"Incident: {incident}"]
    lines += ["", "Withdrawn, newest first:"]
    lines += [f"  {short(c.id)} {c.message.splitlines()[0] if c.message else ''} ({c.author})" for c in withdrawn[:50]]
    if len(withdrawn) > 50:  # noqa: PLR2004 - a message is read by people
        lines.append(f"  and {len(withdrawn) - 50} more")
    lines += [
        "",
        "To bring the change back and mend it:",
        "  git fetch origin && git checkout -b mend origin/main",
        "  git revert --no-edit HEAD",
        "  ... mend it, git commit -a, then: git push origin HEAD:main",
        f"It is kept at refs/stateguard/withdrawn/{operation} ({short(head)}).",
        "",
    ]
    return "\n".join(lines)
