"""``stateguard help``: topics that belong to no single command."""

from __future__ import annotations

from importlib.resources import files

import click

from stateguard.cli.context import show
from stateguard.errors import NotFoundError

_FOLDER = "topics"


def topics() -> dict[str, str]:
    """Return the text of every topic by name; its first line is what it is about."""
    found = files("stateguard.cli").joinpath(_FOLDER)
    texts = {entry.name.removesuffix(".md"): entry for entry in found.iterdir() if entry.name.endswith(".md")}
    return {name: texts[name].read_text(encoding="utf-8") for name in sorted(texts)}


def _offered(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    del ctx, parameter
    return [name for name in topics() if name.startswith(incomplete)]


@click.command("help")
@click.argument("topic", required=False, shell_complete=_offered)
@click.pass_context
def command(ctx: click.Context, topic: str | None) -> None:
    """Explain a TOPIC or a command; without one, list the topics."""
    known = topics()
    if topic is None:
        summaries = {name: text.partition("\n")[0] for name, text in known.items()}
        width = max(map(len, summaries))
        lines = [f"{name.ljust(width)}  {summary}" for name, summary in summaries.items()]
        document = {"topics": [{"name": name, "summary": summary} for name, summary in summaries.items()]}
        show(ctx, document, [*lines, "", "stateguard help TOPIC, stateguard COMMAND --help, stateguard --help"])
        return
    text = known.get(topic) or _of_command(ctx, topic)
    if text is None:
        message = f"there is no topic {topic!r}"
        raise NotFoundError(message, next_step=f"topics: {', '.join(known)}; or the name of a command")
    show(ctx, {"topic": topic, "text": text}, [text.rstrip("\n")])


def _of_command(ctx: click.Context, name: str) -> str | None:
    root = ctx.find_root()
    group = root.command
    found = group.get_command(root, name) if isinstance(group, click.Group) else None
    if found is None:
        return None
    with click.Context(found, info_name=name, parent=root) as inner:
        return found.get_help(inner)
