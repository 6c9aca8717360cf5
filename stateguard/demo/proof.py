"""The final check of the demo, with stock tools only: git, ssh-keygen, sha256."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

from stateguard.demo.stage import Stage

_BEGIN = "-----BEGIN SSH SIGNATURE-----"


def prove(stage: Stage) -> None:
    """Recompute and verify, without stateguard, what stateguard has claimed.

    Raises:
        BrokenPromiseError: something does not agree.
    """
    stage.chapter("Nothing of this has to be believed: the final check uses stock git and ssh-keygen only")
    baselines = stage.ask("baseline", "list")["baselines"]
    newest = baselines[0]
    repository, captured = stage.home / "repo.git", stage.home / "captured.git"
    name = f"baseline/{newest['number']}"
    desired = stock_fingerprint(stage, repository, newest["revision"])
    stage.promise(
        f"{name}: desired state is {desired[:23]}… in a git SHA-256 repository", desired == newest["desired_fingerprint"]
    )
    complete = stock_fingerprint(stage, captured, newest["snapshot"])
    stage.promise(f"{name}: complete state is {complete[:23]}… too", complete == newest["fingerprint"])
    for baseline in baselines:
        number = baseline["number"]
        signed = _signature_holds(stage, repository, f"refs/tags/baseline/{number}")
        stage.promise(f"baseline/{number}: ssh-keygen verifies the guard's signature", signed)
    entries = _chain(stage, repository)
    stage.promise(f"the audit chain's {entries} entries follow each other, by sha256 and git alone", entries)
    verdict = stage.ask("audit", "verify")
    stage.promise("stateguard audit verify says the same", verdict["valid"] and verdict["entries"] == entries)
    stage.guard("history", show=True)


def stock_fingerprint(stage: Stage, repository: Path, revision: str) -> str:
    """Return the SHA-256 tree id of a revision by git's own fast-export and fast-import."""
    with tempfile.TemporaryDirectory() as scratch:
        copy, target = Path(scratch) / "copy.git", Path(scratch) / "sha256.git"
        stage.must("git", "clone", "-q", "--mirror", repository, copy)
        commit = stage.must("git", "--git-dir", copy, "commit-tree", f"{revision}^{{tree}}", "-m", "x").strip()
        stage.must("git", "--git-dir", copy, "update-ref", "refs/heads/fingerprint", commit)
        stage.must("git", "init", "-q", "--bare", "--object-format=sha256", target)
        export = Path(scratch) / "export"
        script = 'git --git-dir "$1" fast-export --full-tree refs/heads/fingerprint > "$2"'
        stage.must("sh", "-c", script, "sh", copy, export)
        stage.must("git", "--git-dir", target, "fast-import", "--quiet", stdin=export.read_bytes())
        tree = stage.must("git", "--git-dir", target, "rev-parse", "refs/heads/fingerprint^{tree}")
        return f"sha256:{tree.strip()}"


def _signature_holds(stage: Stage, repository: Path, tag: str) -> bool:
    content = stage.must("git", "--git-dir", repository, "cat-file", "tag", tag)
    payload, mark, rest = content.partition(_BEGIN)
    with tempfile.TemporaryDirectory() as scratch:
        signature = Path(scratch) / "signature"
        signature.write_text(mark + rest, encoding="utf-8")
        signers = stage.home / "trust" / "allowed_signers"
        done = stage.run(
            "ssh-keygen", "-Y", "verify", "-f", signers, "-I", "guard@stateguard", "-n", "git", "-s", signature,
            stdin=payload.encode(),
        )  # fmt: skip
    return done.returncode == 0


def _chain(stage: Stage, repository: Path) -> int:
    """Return the number of entries if each names its forerunner's SHA-256, else 0."""
    log = stage.must("git", "--git-dir", repository, "log", "--reverse", "--format=%B", "refs/stateguard/audit")
    previous, count = "0" * 64, 0
    for line in log.splitlines():
        if not line:
            continue
        entry = json.loads(line)
        count += 1
        if entry["previous"] != previous or entry["sequence"] != count:
            return 0
        previous = hashlib.sha256(line.encode()).hexdigest()
    return count
