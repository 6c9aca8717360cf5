"""The ``stateguard`` command: global options, lazily loaded commands, one error handler."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from stateguard import __version__
from stateguard.errors import StateguardError, StorageError, UsageProblemError
from stateguard.text.escape import terminal

COMMANDS = (
    "init", "run", "status", "validate", "fingerprint", "apply", "adopt", "plan", "rollback", "recover", "baseline",
    "agent", "history", "show", "diff", "conversations", "audit", "incident", "suspend", "resume", "arming", "trust",
    "secret", "mirror", "probe",
    # how the guard itself is, and is run
    "doctor", "metrics", "config", "service", "upgrade", "eject", "help", "completion",
    # to try it out; what hooks call
    "example", "demo", "hook",
)  # fmt: skip

_UNEXPECTED = 3
_INTERRUPTED = 130


class LazyGroup(click.Group):
    """Imports a command's file when that command is named: the others cost nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every command in the order of the manual."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"stateguard.cli.{cmd_name}")
        found: click.Command = module.command
        return found


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", metavar="PATH", help="Guard home (else STATEGUARD_HOME, else searched upwards).")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else there.")
@click.option("--quiet", is_flag=True, help="Say only what was asked for.")
@click.option("-v", "--verbose", is_flag=True, help="Show the trace of an unexpected error.")
@click.option("--no-color", is_flag=True, help="No colours (also NO_COLOR).")
@click.version_option(__version__, prog_name="stateguard")
@click.pass_context
def cli(ctx: click.Context, home: str | None, as_json: bool, quiet: bool, verbose: bool, no_color: bool) -> None:
    """State in git; push to change; a guard applies, watches, and takes back what does not work."""
    ctx.obj = {"home": home, "json": as_json, "quiet": quiet, "verbose": verbose}
    if no_color or os.environ.get("NO_COLOR"):
        ctx.color = False


def run(argv: list[str] | None = None) -> int:
    """Run a command line; returns its exit status."""
    given = sys.argv[1:] if argv is None else argv
    as_json = "--json" in given
    try:
        status = cli.main(args=given, prog_name="stateguard", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        print("stopped before anything was changed", file=sys.stderr)
        return _INTERRUPTED
    except click.ClickException as error:
        return _misused(error, as_json=as_json)
    except StateguardError as error:
        return _failed(error, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets a report to paste and status 3
        if "-v" in given or "--verbose" in given:
            import traceback

            traceback.print_exc()
        return _failed(_unexpected(error, given), as_json=as_json)


def _misused(error: click.ClickException, *, as_json: bool) -> int:
    """Say what is wrong with a command line; of a group without a command its manual is all there is to say."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and not as_json:
        click.echo(error.format_message(), err=True)
        return UsageProblemError.exit
    hint = "see: stateguard --help"
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"see: {error.ctx.command_path} --help"
    return _failed(UsageProblemError(error.format_message(), next_step=hint), as_json=as_json)


def _failed(error: StateguardError, *, as_json: bool) -> int:
    from stateguard.text.redact import redact  # its patterns take a while to compile: what succeeds needs none

    if as_json:
        print(json.dumps(error.as_json(), indent=1))
    else:
        print(f"stateguard: {terminal(redact(error.message))}", file=sys.stderr)
        if error.changed:
            print(f"  changed: {terminal(error.changed)}", file=sys.stderr)
        if error.next_step:
            print(f"  next: {terminal(error.next_step)}", file=sys.stderr)
    return error.exit


def _owner(path: str) -> str:
    """Return whose a path is, or what of it can be seen; nothing if it is this user's own."""
    import pwd

    for place in (Path(path), *Path(path).parents):
        with contextlib.suppress(OSError):
            uid = place.stat().st_uid
            if uid == os.geteuid():
                return ""
            with contextlib.suppress(KeyError):
                return pwd.getpwuid(uid).pw_name
            return str(uid)
    return ""


def _unexpected(error: Exception, given: list[str]) -> StateguardError:
    if isinstance(error, PermissionError) and error.filename is not None and (owner := _owner(error.filename)):
        message = f"{error.filename} is {owner}'s, and may not be read or written by others"
        return StorageError(message, next_step=f"run it as that user: sudo -u {owner} stateguard …")
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # not repeated: a key may have been pasted
        return UsageProblemError("an argument is too long to be the name of a file", next_step="see: stateguard --help")
    import traceback

    from stateguard.text.redact import redact

    trace = redact("".join(traceback.format_exception(error)))
    report = Path(os.environ.get("TMPDIR", "/tmp")) / f"stateguard-report-{os.getpid()}.txt"  # noqa: S108 - named, not secret
    text = f"stateguard {__version__}\ncommand: {redact(' '.join(given))}\npython: {sys.version}\n\n{trace}"
    next_step = f"please report it with {report}"
    try:
        with report.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        next_step = f"please report it with this text:\n{text}"
    message = f"unexpected {type(error).__name__}: {error}"
    return StateguardError(message, changed="unknown", next_step=next_step)


def document(value: dict[str, Any]) -> str:
    """Return a document as ``--json`` prints it."""
    return json.dumps(value, indent=1, ensure_ascii=False)
