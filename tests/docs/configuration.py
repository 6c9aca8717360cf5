"""The page ``docs/configuration.md``, made from the schemas that the program exports.

Write it anew with ``.venv/bin/python tests/docs/configuration.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stateguard.config.export import KINDS, schema

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"

HEAD = """\
# Configuration, key by key

Made from the program by `tests/docs/configuration.py`; do not edit it by hand. What the keys mean for each other, and
the values that hold where none is given, are in the [reference](reference.md). The same as JSON Schema, for an editor
that completes and checks while one writes: `stateguard config schema --output DIR`.

NAME stands for a name that you choose, `[]` for each item of a list. In every file, top-level keys that begin with `x-`
are free.
"""

_DURATION = r"^(\d+(\.\d+)?(ms|s|m|h|d)?)+$"

Part = dict[str, Any]


def page() -> str:
    """Return the whole page."""
    sections = [HEAD]
    for kind, exported in KINDS.items():
        whole = schema(kind)
        lines = [f"## {exported.title.split(':')[0]}", "", f"`{exported.glob}`", ""]
        lines += ["| key | value | default | means |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in rows(whole, whole.get("$defs", {}), "")]
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


def rows(part: Part, known: Part, lead: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, value, default and meaning of every key of a part of a schema, with those below it."""
    required = part.get("required", [])
    for key, value in part.get("properties", {}).items():
        choices = [resolved(one, known) for one in choice(value)]
        default = "required" if key in required else shown(value.get("default"))
        yield f"`{lead}{key}`", " or ".join(dict.fromkeys(map(kind, choices))), default, value.get("description", "")
        for one in choices:
            inner, joint = below(one, known)
            if inner.get("properties"):
                yield from rows(inner, known, f"{lead}{key}{joint}")


def choice(value: Part) -> list[Part]:
    """Return what a value may be; nothing at all is told by the default."""
    return [one for one in value.get("anyOf", [value]) if one.get("type") != "null"]


def resolved(value: Part, known: Part) -> Part:
    """Return a value with its reference followed."""
    reference = value.get("$ref")
    return known[reference.rpartition("/")[2]] if reference else value


def below(value: Part, known: Part) -> tuple[Part, str]:
    """Return the part that holds the keys below a value, and what stands between them and its own key."""
    if value.get("type") == "array":
        return resolved(value["items"], known), "[]."
    if "patternProperties" in value:
        return resolved(next(iter(value["patternProperties"].values())), known), ".NAME."
    return value, "."


def kind(value: Part) -> str:
    """Return in words what a value may be."""
    words = value.get("enum") or ([value["const"]] if "const" in value else None)
    if words:
        return ", ".join(f"`{word}`" for word in words)
    if value.get("pattern") == _DURATION:
        return "a duration"
    name = value.get("type", "anything")
    if name == "array":
        return "a list"
    if name == "object":
        return "a mapping"
    names = " or ".join(name) if isinstance(name, list) else str(name)
    limits = [f"{word} {value[key]}" for key, word in _LIMITS.items() if key in value]
    return {"string": "text"}.get(names, names) + (f", {' and '.join(limits)}" if limits else "")


_LIMITS = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}


def shown(default: object) -> str:
    """Return a default as YAML takes it."""
    if default in (None, "", {}, []):
        return "none"
    if isinstance(default, dict):
        return "that of its keys"
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
