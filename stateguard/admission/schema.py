"""A config file against the JSON Schema beside it (draft 2020-12), without ever leaving the tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from stateguard.config.document import Document
from stateguard.config.problem import Problem, clipped, shown

# jsonschema is imported where a schema is looked at: with some packages beside it, which others may need, its import
# takes more than a second, and every command would wait for it.
if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LOCAL = re.compile(r"#|#/\$defs/[^/%]+")
_UNSUPPORTED = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary")
_MOST = 20

_SAYS = "x-message"
"""The keyword by which a schema says in its own words what to do; {value} stands for what was found."""


def schema_problems(schema: Document) -> list[Problem]:
    """Return why a schema cannot be used; empty if it can.

    References go to ``#`` and ``#/$defs/<name>`` only: those places are known to hold schemas.
    """
    if not isinstance(schema.value, (dict, bool)):
        return [_at(schema, (), f"a schema must be a mapping, not {shown(schema.value)}")]
    problems = list(_reach(schema))
    if problems:
        return problems[:_MOST]
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema.value)
    except SchemaError as error:
        return [_at(schema, tuple(error.absolute_path), f"this is no JSON Schema: {error.message}")]
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        return [_at(schema, (), f"this schema cannot be used: {error}")]
    return []


def _reach(schema: Document) -> Iterator[Problem]:
    """Yield what a schema says that could lead out of the file, or to what is no schema."""
    waiting: list[tuple[tuple[str | int, ...], object]] = [((), schema.value)]
    while waiting:
        keys, value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(((*keys, n), item) for n, item in enumerate(value))
        if not isinstance(value, dict):
            continue
        waiting.extend(((*keys, key), item) for key, item in value.items())
        reference, dialect = value.get("$ref"), value.get("$schema")
        if isinstance(reference, str) and not _LOCAL.fullmatch(reference):
            message = f"the reference {shown(reference)} leads elsewhere; use # or #/$defs/<name> of this file"
            yield _at(schema, (*keys, "$ref"), message)
        if isinstance(dialect, str) and dialect.rstrip("#") != _DIALECT:
            yield _at(schema, (*keys, "$schema"), f"only JSON Schema 2020-12 is read; write {_DIALECT}")
        for word in _UNSUPPORTED:
            if isinstance(value.get(word), str):
                yield _at(schema, (*keys, word), f"{word} is not supported; use $defs and $ref")


def instance_problems(document: Document, schema: Document) -> list[Problem]:
    """Return where a document does not hold to a schema that :func:`schema_problems` had nothing against."""
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    value = schema.value if isinstance(schema.value, (dict, bool)) else True
    validator = Draft202012Validator(value, registry=Registry())
    problems: list[Problem] = []
    try:
        for error in validator.iter_errors(document.value):
            problems.append(_violation(document, error))
            if len(problems) == _MOST:
                break
    except (Unresolvable, re.error, ValueError, OverflowError, RecursionError) as error:
        problems.append(_at(schema, (), f"this schema cannot be used on {document.path}: {error}"))
    return sorted(set(problems))


def _violation(document: Document, error: ValidationError) -> Problem:
    keys = tuple(error.absolute_path)
    extra = _extra(error)
    line, column = document.position((*keys, extra) if extra is not None else keys)
    where = ".".join(str(key) for key in keys)
    said = error.schema.get(_SAYS) if isinstance(error.schema, dict) else None
    text = said.replace("{value}", shown(error.instance)) if isinstance(said, str) else error.message
    message = f"{where}: {text}" if where else text
    return Problem(document.path, line, "schema", clipped(message, 300), column)


def _extra(error: ValidationError) -> str | None:
    """Return the first key that a mapping should not have, if that is the error."""
    if error.validator != "additionalProperties" or not isinstance(error.instance, dict):
        return None
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    return next((key for key in error.instance if key not in known), None)


def _at(schema: Document, keys: tuple[str | int, ...], message: str) -> Problem:
    line, column = schema.position(keys)
    return Problem(schema.path, line, "schema", clipped(message, 300), column)
