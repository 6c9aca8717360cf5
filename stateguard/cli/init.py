"""``stateguard init``: make a guard home."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stateguard.cli.context import home_of, show, user
from stateguard.cli.progress import Listener
from stateguard.errors import UsageProblemError
from stateguard.model.mirror import MirrorSpec
from stateguard.text.redact import redact
from stateguard.text.words import count

if TYPE_CHECKING:
    from stateguard.trust.signing import Signing


@click.command("init")
@click.option("--from", "source", type=click.Path(path_type=Path), metavar="DIR", help="Directory to take under guard.")
@click.option("--live", type=click.Path(path_type=Path), metavar="DIR", help="Live directory (default HOME/live).")
@click.option("--remote", "remotes", multiple=True, metavar="NAME=URL", help="A mirror; may be given several times.")
@click.option("--runtime", default="embedded", metavar="RUNTIME", help="Who runs the agents; see the reference.")
@click.option("--attach", is_flag=True, help="Take over agents that run already, found by their command.")
@click.option("--process", "processes", multiple=True, metavar="NAME=PID", help="Take over this process as that agent.")
@click.option(
    "--probe-runs",
    type=click.IntRange(0, 100_000),
    default=100,
    show_default=True,
    metavar="N",
    help="Try each probe so many times; 0 skips it.",
)
@click.option("--no-baseline", is_flag=True, help="Do not watch one confirm window and sign baseline/1.")
@click.option("--signing-key", metavar="KEY", help="Trust your key with everything, and approve baseline/1 with it.")
@click.pass_context
def command(
    ctx: click.Context,
    source: Path | None,
    live: Path | None,
    remotes: tuple[str, ...],
    runtime: str,
    attach: bool,
    processes: tuple[str, ...],
    probe_runs: int,
    no_baseline: bool,
    signing_key: str | None,
) -> None:
    """Make a guard home: import DIR, apply it, watch one confirm window, sign baseline/1."""
    from stateguard.guard.found import Founding, found
    from stateguard.guard.worker import Voice, progress
    from stateguard.trust.signing import signing_key as key_of

    home = home_of(ctx)
    key = key_of(signing_key) if signing_key is not None else None
    founding = Founding(
        home=home,
        source=source.absolute() if source else None,
        live=live.absolute() if live else home.default_live,
        baseline=not no_baseline,
        user=user(),
        mirrors=tuple(map(_mirror, remotes)),
        runtime=runtime_of(runtime),
        attach=attach,
        processes=dict(map(_process, processes)),
        probe_runs=probe_runs,
    )
    with Listener(quiet=ctx.obj["quiet"]) as listener:
        founding = replace(founding, progress=Voice(listener.hear).progress)
        founding = replace(founding, signing=_undisturbed(key, listener) if key is not None else None)
        document = found(founding, listener.say, lambda _, step: listener.hear(progress(step)))
    push = f"git clone {home.repository}"
    lines = [
        f"guard home      {home.root}",
        f"live directory  {document['live']}",
        f"taken           {_taken(document['taken'])}",
        f"push to         {home.repository}",
        f"next            stateguard --home {home.root} run     and     {push}",
    ]
    show(ctx, document, lines)


def _taken(taken: dict[str, Any]) -> str:
    left = (
        f"{taken['ignored']['count']} ignored, {taken['skipped']['count']} left alone, "
        f"{taken['captured']} the system's own"
    )
    return f"{count(taken['files'], 'file')} ({left})"


def _undisturbed(key: Signing, listener: Listener) -> Signing:
    """Return a key that takes the progress bar away before its passphrase is asked for."""

    def sign(content: bytes, namespace: str) -> str:
        listener.rest()
        return key.sign(content, namespace)

    return replace(key, signs=sign)


def _mirror(text: str) -> MirrorSpec:
    name, sign, url = text.partition("=")
    if not sign or not name or not url:
        raise UsageProblemError(f"--remote takes NAME=URL, not {redact(text)!r}")
    return MirrorSpec(name, url)


def _process(text: str) -> tuple[str, int]:
    name, _, pid = text.partition("=")
    if not name or not (pid.isascii() and pid.isdigit()):
        raise UsageProblemError(f"--process takes NAME=PID, not {text!r}")
    return name, int(pid)


def runtime_of(text: str) -> object:
    """Return what guard.yaml shall say under ``runtime``, for a word or, as ``@FILE``, a file of YAML.

    Raises:
        UsageProblemError: it is neither.
        InvalidDocument: the file says no runtime.
    """
    from stateguard.config.runtime import read_runtime, runtime_option

    try:
        if not text.startswith("@"):
            return runtime_option(text)
        return read_runtime(Path(text[1:]).read_bytes(), text[1:])
    except ValueError as error:
        raise UsageProblemError(str(error)) from error
    except OSError as error:
        raise UsageProblemError(f"{text[1:]} cannot be read: {error.strerror}") from error
