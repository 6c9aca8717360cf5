"""``stateguard config``: the files people write."""

from __future__ import annotations

import json
from pathlib import Path

import click

from stateguard.cli.context import show

_KINDS = ("guard", "state", "agent", "channel")


@click.group("config")
def command() -> None:
    """Say how the files are written that stateguard reads."""


@command.command("schema")
@click.argument("kind", required=False, type=click.Choice(_KINDS))
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Write them to files in this directory.")
@click.pass_context
def schema_(ctx: click.Context, kind: str | None, output: Path | None) -> None:
    """Print the JSON Schema of a kind of file, or of all; editors complete and check by it."""
    from stateguard.config.export import KINDS, schema
    from stateguard.errors import StorageError
    from stateguard.host import files

    chosen = {name: schema(name) for name in KINDS if kind in (None, name)}
    if output is None:
        document = chosen[kind] if kind else chosen
        show(ctx, document, [json.dumps(document, indent=1, ensure_ascii=False)])
        return
    written = {name: output / f"{name}.schema.json" for name in chosen}
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, path in written.items():
            files.replace(path, (json.dumps(chosen[name], indent=1, ensure_ascii=False) + "\n").encode(), 0o644)
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}"
        raise StorageError(message, changed="some schemas may have been written") from error
    lines = [f"{path}    for {KINDS[name].glob}" for name, path in written.items()]
    hint = "In a file's first line: # yaml-language-server: $schema=PATH"
    show(ctx, {"written": {name: str(path) for name, path in written.items()}}, [*lines, hint])
