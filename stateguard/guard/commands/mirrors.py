"""Commands about mirrors. None waits on the guard's own thread for a remote."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stateguard.errors import NotFoundError, UsageProblemError
from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk, actor
from stateguard.guard.mirrors import mirror_document, mirrors_document
from stateguard.mirror.remote import RemoteError
from stateguard.mirror.verify import Verifier
from stateguard.model.identity import is_revision
from stateguard.model.mirror import MirrorSpec
from stateguard.record.audit import Entry
from stateguard.text.redact import redact
from stateguard.text.words import count


def _status(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"mirrors": mirrors_document(desk.guard)}


def _sync(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    chosen = _chosen(desk, parameters)

    def bring(spec: MirrorSpec) -> dict[str, Any]:
        behind = desk.guard.mirrors.missing(spec)
        say(f"{spec.name}: {count(behind, 'ref')} to send" if behind else f"{spec.name}: looking")
        standing = desk.guard.mirrors.sync(spec)
        document = mirror_document(desk.guard, spec) | {"busy": standing is None}
        error = "something is being sent there already" if standing is None else standing.error
        say(f"{spec.name}: {document['state']}{f' ({error})' if error else ''}")
        return document

    with ThreadPoolExecutor(len(chosen), "mirror sync") as pool:
        return {"mirrors": list(pool.map(bring, chosen))}


def _look(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    spec = one(desk, str(parameters["mirror"]))
    plan = desk.guard.mirrors.look(spec)
    return {
        "name": spec.name,
        "url": redact(spec.url),
        "conflicts": [{"ref": c.ref, "theirs": c.theirs, "ours": c.ours, "why": str(c.why)} for c in plan.conflicts],
        "tampered": list(desk.guard.mirrors.store.standing(spec).tampered),
    }


def _permit(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    spec = one(desk, str(parameters["mirror"]))
    given = parameters.get("refs")
    if not isinstance(given, dict) or not all(isinstance(o, str) and is_revision(o) for o in given.values()):
        raise UsageProblemError("refs must map each ref to the object that was seen there")
    entry = Entry("mirror", actor(parameters), {"mirror": spec.name, "action": "overwrite", "refs": given})
    desk.guard.books.audit.append([entry])
    desk.guard.mirrors.store.permit(spec, given)
    return {"name": spec.name, "refs": given}


def _verify(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard = desk.guard
    verifier = Verifier(guard.mirrors, guard.baselines, guard.home.run)
    return {
        "mirrors": [
            _verified(verifier, spec, say, complete=bool(parameters.get("complete")))
            for spec in _chosen(desk, parameters)
        ]
    }


def _verified(verifier: Verifier, spec: MirrorSpec, say: Say, *, complete: bool) -> dict[str, Any]:
    say(f"{spec.name}: reading back {redact(spec.url)}")
    told: dict[str, Any] = {"name": spec.name, "url": redact(spec.url), "complete": complete}
    try:
        found = verifier.verify(spec, complete=complete)
    except RemoteError as error:
        return told | {"state": None, "error": error.message, "refs": 0, "checked": [], "evidence": [], "tampered": []}
    checked = [{"what": c.what, "revision": c.revision, "fingerprint": c.fingerprint} for c in found.checked]
    return told | {"state": str(found.state), "error": None, "refs": found.refs, "checked": checked,
                   "evidence": list(found.evidence), "tampered": list(found.tampered)}  # fmt: skip


def _chosen(desk: Desk, parameters: dict[str, Any]) -> list[MirrorSpec]:
    chosen = [one(desk, str(parameters["mirror"]))] if parameters.get("mirror") else list(desk.guard.settings.mirrors)
    if not chosen:
        raise NotFoundError("no mirror is configured", next_step=_HOW)
    return chosen


def one(desk: Desk, name: str) -> MirrorSpec:
    """Return the mirror of that name.

    Raises:
        NotFoundError: there is none.
    """
    found = {spec.name: spec for spec in desk.guard.settings.mirrors}
    if name not in found:
        message = f"there is no mirror {name!r}"
        raise NotFoundError(message, next_step=f"mirrors: {', '.join(found)}" if found else _HOW)
    return found[name]


_HOW = "add one to guard.yaml: mirrors: [{name: NAME, url: URL}]"

COMMANDS: dict[str, Command] = {
    "mirror-status": Command(_status),
    "mirror-sync": Command(_sync),
    "mirror-look": Command(_look),
    "mirror-permit": Command(_permit, writes=True),
    "mirror-verify": Command(_verify),
}
