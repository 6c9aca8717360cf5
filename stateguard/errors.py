"""One error tree: what happened, what was changed (usually nothing), the next step, the exit status."""

from __future__ import annotations


class StateguardError(Exception):
    """Base of every error that stateguard raises on purpose.

    Attributes:
        code: stable word for scripts.
        exit: exit status of the command that meets it.
        message: what happened, one sentence.
        changed: what was changed before it happened.
        next_step: what the reader can do now; may be empty.
    """

    code = "unexpected"
    exit = 3

    def __init__(self, message: str, *, changed: str = "nothing was changed", next_step: str = "") -> None:
        """Keep the three sentences that every error owes its reader."""
        super().__init__(message)
        self.message = message
        self.changed = changed
        self.next_step = next_step

    def as_json(self) -> dict[str, object]:
        """Return the JSON error document of the contracts."""
        return {
            "error": {
                "code": self.code,
                "exit": self.exit,
                "message": self.message,
                "changed": self.changed,
                "next": self.next_step,
            }
        }

    @classmethod
    def from_json(cls, document: dict[str, object]) -> StateguardError:
        """Rebuild an error that crossed the control socket."""
        body = document.get("error")
        if not isinstance(body, dict):
            return cls(f"the guard answered something that is no error document: {document!r}")
        kind = next((k for k in _all_kinds(StateguardError) if k.code == body.get("code")), StateguardError)
        return kind(
            str(body.get("message", "")), changed=str(body.get("changed", "")), next_step=str(body.get("next", ""))
        )


def _all_kinds(kind: type[StateguardError]) -> list[type[StateguardError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in _all_kinds(child))]


class RefusedError(StateguardError):
    """The answer is no: invalid, drifted, unhealthy, refused, or a verification failed."""

    code = "refused"
    exit = 1


class UsageProblemError(StateguardError):
    """The command was called in a way that cannot work."""

    code = "usage"
    exit = 2


class TrustError(StateguardError):
    """A signature, key or statement does not hold."""

    code = "trust"
    exit = 10


class StaleBaselineError(TrustError):
    """Somebody offers a baseline older than one already accepted (a rollback attack)."""

    code = "stale-baseline"


class LockHeldError(StateguardError):
    """Another guard owns the home or the live directory."""

    code = "lock-held"
    exit = 11


class StorageError(StateguardError):
    """Disk or git could not do what was asked."""

    code = "storage"
    exit = 12


class AgentsError(StateguardError):
    """The runtime could not start, stop or find agents."""

    code = "runtime"
    exit = 13


class NetworkError(StateguardError):
    """A remote or the control socket did not answer."""

    code = "network"
    exit = 14


class GuardDownError(NetworkError):
    """No daemon listens on the control socket."""

    code = "guard-down"


class NotFoundError(StateguardError):
    """What was named does not exist."""

    code = "not-found"
    exit = 15


class ApprovalNeededError(StateguardError):
    """A person must say yes first."""

    code = "approval-needed"
    exit = 16
