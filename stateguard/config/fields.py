"""What the schemas of all files share: field types, and problems instead of pydantic's errors."""

from __future__ import annotations

import re
import types
import typing
from difflib import get_close_matches
from ipaddress import ip_network
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from stateguard.config.document import Document
from stateguard.config.problem import InvalidDocument, Problem, clipped, shown
from stateguard.config.sections import pattern_problem
from stateguard.model.moment import parse_duration
from stateguard.model.size import parse_size
from stateguard.text import words

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "ABRT", "KILL")
_HIGHEST_PORT = 65535


class Strict(BaseModel):
    """A mapping of a file: unknown keys are errors, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        msg = f"{shown(value)} is no name; use a-z, 0-9 and -, a letter first, at most 63 characters"
        raise ValueError(msg)
    return value


def _pattern(value: str) -> str:
    problem = pattern_problem(value)
    if problem:
        raise ValueError(problem)
    return value


def _glob(value: str) -> str:
    if value.startswith("!"):
        msg = f"{shown(value)} takes nothing away here; list what matters instead"
        raise ValueError(msg)
    return _pattern(value)


def _relative(value: str) -> str:
    parts = value.split("/")
    if value.startswith("/") or any(part in ("", ".", "..") for part in parts):
        msg = f"{shown(value)} must be a relative path inside the state, without . or .."
        raise ValueError(msg)
    return value


def _url(value: str) -> str:
    msg = f"{shown(value)} must be an http:// or https:// URL with a host, without credentials or blanks"
    if not value.isascii() or any(c.isspace() for c in value):
        raise ValueError(msg)
    try:
        parts = urlsplit(value)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        fit = fit and (parts.port is None or 0 < parts.port <= _HIGHEST_PORT)
    except ValueError:
        raise ValueError(msg) from None
    if not fit:
        raise ValueError(msg)
    return value


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError as error:
        msg = f"{shown(value)} is no address or network, such as 10.1.2.3, 10.0.0.0/8 or fd00::/8: {error}"
        raise ValueError(msg) from None
    return value


def _signal(value: str) -> str:
    name = value.removeprefix("SIG")
    if name not in _SIGNALS:
        msg = f"{shown(value)} is no signal that stops an agent; use {_either(_SIGNALS)}"
        raise ValueError(msg)
    return name


Text = Annotated[str, Field(max_length=4096)]
Required = Annotated[str, Field(min_length=1, max_length=4096)]
# What a validator of ours takes is told to JSON Schema beside it: pydantic cannot know.
_DURATION: dict[str, Any] = {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d)?)+$"}
_SIZE: dict[str, Any] = {"type": "string", "pattern": r"^\d+ ?([KMG]i?B?|kB|B)?$"}


def _or_text(text: dict[str, Any], **number: object) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [number, text]})


Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]
Pattern = Annotated[str, AfterValidator(_pattern)]
Glob = Annotated[str, AfterValidator(_glob)]
RelativePath = Annotated[
    str,
    Field(min_length=1, max_length=1024),
    AfterValidator(_relative),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[^/]"}),
]
Url = Annotated[
    str,
    Field(max_length=2048),
    AfterValidator(_url),
    WithJsonSchema({"type": "string", "maxLength": 2048, "pattern": "^[hH][tT][tT][pP][sS]?://[^/]"}),
]
Signal = Annotated[
    str,
    AfterValidator(_signal),
    WithJsonSchema({"type": "string", "enum": [*_SIGNALS, *(f"SIG{name}" for name in _SIGNALS)]}),
]
NetworkText = Annotated[str, Field(max_length=64), AfterValidator(_network)]
Port = Annotated[int, Field(ge=1, le=_HIGHEST_PORT)]
Argv = Annotated[list[Required], Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Budget = Annotated[int, Field(ge=0, le=1_000_000)]
Duration = Annotated[float, BeforeValidator(parse_duration), _or_text(_DURATION, type="number", minimum=0)]
Positive = Annotated[
    float, Field(gt=0), BeforeValidator(parse_duration), _or_text(_DURATION, type="number", exclusiveMinimum=0)
]
Size = Annotated[int, BeforeValidator(parse_size), _or_text(_SIZE, type="integer", minimum=0)]
Period = Annotated[
    float, Field(ge=0.05), BeforeValidator(parse_duration), _or_text(_DURATION, type="number", minimum=0.05)
]
ApiVersion = Literal["stateguard/v1"]

Model = TypeVar("Model", bound=BaseModel)


def check(model: type[Model], document: Document, path: str) -> Model:
    """Return a document as a model; top-level ``x-*`` keys are left out.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    if not isinstance(document.value, dict):
        line, column = document.position()
        what = "is empty" if document.value is None else f"is {shown(document.value)}"
        message = f"the file {what}; it must map keys to values"
        raise InvalidDocument(path, [Problem(path, line, "type", message, column)])
    body = {key: value for key, value in document.value.items() if not str(key).startswith("x-")}
    try:
        return model.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_url=False)
    raise InvalidDocument(path, sorted(_problem(model, document, path, one) for one in found))


def at(document: Document, path: str, keys: tuple[str | int, ...], code: str, message: str) -> Problem:
    """Return a problem with what stands under some keys of a document."""
    line, column = document.position(keys)
    return Problem(path, line, code, message, column)


def _problem(model: type[BaseModel], document: Document, path: str, error: ErrorDetails) -> Problem:
    keys = error["loc"]
    line, column = document.position(keys)
    code, message = _sentence(model, keys, error)
    return Problem(path, line, code, clipped(message), column)


def _sentence(model: type[BaseModel], keys: tuple[str | int, ...], error: ErrorDetails) -> tuple[str, str]:
    label, kind, context = _label(keys), error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown-key", _unknown(str(keys[-1]), _known_keys(model, keys[:-1]))
    if kind == "missing":
        return "missing-key", f"{label} is missing; add it"
    if kind == "value_error":
        return "value", f"{label}: {context['error']}" if label else str(context["error"])
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        return "value", f"{label} must be {expected}, not {shown(error['input'])}"
    if kind.endswith("too_short"):
        return "value", f"{label} must not be empty"
    if kind.endswith("too_long"):
        return "value", f"{label} is too long; at most {context['max_length']} are read"
    if kind in _LIMITS:
        return "value", f"{label} must be {_LIMITS[kind]} {next(iter(context.values()))}, not {shown(error['input'])}"
    wanted = f" must be {_KINDS[kind]}, not {shown(error['input'])}" if kind in _KINDS else f": {error['msg']}"
    return "type", label + wanted


_LIMITS = {"greater_than": "more than", "greater_than_equal": "at least", "less_than_equal": "at most"}


_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def _label(keys: tuple[str | int, ...]) -> str:
    label = ""
    for key in keys:
        label = f"{label}[{key}]" if isinstance(key, int) else key if key != "[key]" else label
    return label


def _unknown(key: str, known: list[str]) -> str:
    close = closest(key, known)
    hint = f"did you mean {close}?" if close else f"known keys are {words.joined(known)}"
    return f"unknown key {shown(key)}; {hint}"


def closest(word: str, known: list[str]) -> str | None:
    """Return the known word that is nearest to a mistyped one, or None if none is near."""
    return next(iter(get_close_matches(word[:100], known, n=1)), None)


def _known_keys(model: type[BaseModel], keys: tuple[str | int, ...]) -> list[str]:
    kind: Any = model
    for key in keys:
        kind = _inside(kind, key)
    plain = _without_none(kind)
    if not (isinstance(plain, type) and issubclass(plain, BaseModel)):
        return []
    return [field.alias or name for name, field in plain.model_fields.items()]


def _inside(kind: Any, key: str | int) -> Any:  # noqa: ANN401 - annotations are any object
    plain = _without_none(kind)
    if isinstance(plain, type) and issubclass(plain, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in plain.model_fields.items()}
        return fields.get(str(key))
    arguments = typing.get_args(plain)
    return arguments[-1] if arguments else None


def _without_none(kind: Any) -> Any:  # noqa: ANN401 - annotations are any object
    if isinstance(kind, types.UnionType):
        return next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def _either(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
