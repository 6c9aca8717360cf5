"""The schema of a probe, wherever one may stand."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from stateguard.config.fields import (
    Argv,
    Count,
    Duration,
    Name,
    Period,
    Port,
    Positive,
    RelativePath,
    Required,
    Strict,
    Url,
)
from stateguard.model.agent import Check, CommandCheck, FileCheck, HttpCheck, Probe, ProbeKind, TcpCheck


class HttpModel(Strict):
    """``http: {url}``."""

    url: Url


class TcpModel(Strict):
    """``tcp: {host, port}``."""

    host: Required = "127.0.0.1"
    port: Port


class FileModel(Strict):
    """``file: {path, max_age_seconds}``."""

    path: RelativePath
    max_age_seconds: Positive | None = None


_ONE_OF: list[JsonValue] = [
    {"required": [key], "properties": {key: {"type": kind}}}
    for key, kind in (("http", "object"), ("tcp", "object"), ("command", "array"), ("file", "object"))
]


class UnnamedProbe(Strict):
    """A probe whose name is given by where it stands, as a channel's."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _ONE_OF})

    name: Name | None = None
    kind: Literal["startup", "readiness", "liveness"] = "readiness"
    http: HttpModel | None = None
    tcp: TcpModel | None = None
    command: Argv | None = None
    file: FileModel | None = None
    initial_delay_seconds: Duration = 0.0
    period_seconds: Period = 10.0
    timeout_seconds: Positive = 1.0
    failure_threshold: Count = 3
    success_threshold: Count = 1
    required: bool = True
    scope: Literal["internal", "external"] = "internal"

    @model_validator(mode="after")
    def _one_check(self) -> Self:
        given = [check for check in (self.http, self.tcp, self.command, self.file) if check is not None]
        if len(given) != 1:
            msg = f"a probe needs exactly one of http, tcp, command and file, this one has {len(given) or 'none'}"
            raise ValueError(msg)
        return self

    def check(self) -> Check:
        """Return what the probe does."""
        if self.http:
            return HttpCheck(self.http.url)
        if self.tcp:
            return TcpCheck(self.tcp.host, self.tcp.port)
        if self.file:
            return FileCheck(self.file.path, self.file.max_age_seconds)
        return CommandCheck(tuple(self.command or ()))

    def probe(self, agent: str | None, default_name: str = "") -> Probe:
        """Return it as the value that everything else works with."""
        return Probe(
            name=self.name or default_name,
            kind=ProbeKind(self.kind),
            check=self.check(),
            agent=agent,
            initial_delay_seconds=self.initial_delay_seconds,
            period_seconds=self.period_seconds,
            timeout_seconds=self.timeout_seconds,
            failure_threshold=self.failure_threshold,
            success_threshold=self.success_threshold,
            required=self.required,
            external=self.scope == "external",
        )


class NamedProbe(UnnamedProbe):
    """A probe in a list, told from its neighbours by its name."""

    name: Name


ProbeList = Annotated[list[NamedProbe], Field(max_length=100)]
