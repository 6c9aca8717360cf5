"""``scenario.yaml``: a bad change to the example, what has to go on around it, and what must be true at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stateguard.config.fields import Count, Name, RelativePath, Required, Strict, check
from stateguard.config.yaml import load

SCENARIO_FILE = "scenario.yaml"

Level = Annotated[int, Field(ge=1, le=4)]


class Change(Strict):
    """One edit: a text that occurs once is replaced, or a file is added."""

    path: RelativePath
    find: Required | None = None
    replace: Required | None = None
    add: Required | None = None

    @model_validator(mode="after")
    def _one_edit(self) -> Self:
        if (self.find is None) != (self.replace is None) or (self.find is None) == (self.add is None):
            msg = "a change needs find and replace, or add"
            raise ValueError(msg)
        return self


class Step(Strict):
    """Something that goes on beside the push: users say something to the parent, or the provider comes and goes."""

    say: Required | None = None
    times: Count = 1
    provider: Literal["start", "stop"] | None = None

    @model_validator(mode="after")
    def _one_step(self) -> Self:
        if (self.say is None) == (self.provider is None):
            msg = "a step needs say or provider"
            raise ValueError(msg)
        return self

    def words(self) -> str:
        """Return it as people read it."""
        if self.provider == "start":
            return "start the provider, in the clone: python3 -B bin/provider.py"
        if self.provider == "stop":
            return "stop the provider"
        return f"say “{self.say}” to the parent{f', {self.times} times, each time as somebody else' * (self.times > 1)}"


class ExpectedIncident(Strict):
    """The one incident that tells the story."""

    type: Required
    severity: Level
    state: Literal["OPEN", "RESOLVED"] = "RESOLVED"


class Expected(Strict):
    """What must be true at the end.

    ``reason`` is the word in git's own line. ``later`` is what follows an accepted push: nothing, a rollback, or that
    people are told and nothing is changed. ``says`` are words in what the pusher reads and in the report.
    """

    push: Literal["accepted", "rejected"]
    reason: Literal["", "unhealthy", "invalid"] = ""
    later: Literal["none", "rollback", "told"] = "none"
    main: Literal["unmoved", "moved", "forward_commit"]
    incident: ExpectedIncident | None = None
    says: list[Required] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        main = {"rollback": "forward_commit"}.get(self.later, "moved") if self.push == "accepted" else "unmoved"
        rejected = self.push == "rejected"
        told = self.later != "none" or self.reason == "unhealthy"
        if self.main != main or rejected != bool(self.reason) or told != bool(self.incident):
            msg = "push, reason, later, main and incident do not go together"
            raise ValueError(msg)
        if rejected and self.later != "none":
            msg = "nothing comes later of a push that is rejected"
            raise ValueError(msg)
        return self

    def words(self) -> str:
        """Return it as people read it."""
        if self.reason == "invalid":
            return "git push is refused before anything is tried; main does not move"
        if self.reason == "unhealthy":
            return "git push is rejected (unhealthy), main does not move, the system is put back"
        if self.later == "rollback":
            return "git push is accepted; it fails soon after, and the guard goes back by a forward commit"
        if self.later == "told":
            return "git push is accepted and stays; the guard tells what fails and changes nothing"
        return "git push is accepted, and nothing else happens"


class Scenario(Strict):
    """A ``scenario.yaml``."""

    name: Name
    summary: Required
    story: Required
    change: Annotated[list[Change], Field(min_length=1)]
    before: list[Step] = Field(default_factory=list)
    after: list[Step] = Field(default_factory=list)
    expect: Expected


def read_scenario(path: Path) -> Scenario:
    """Read a scenario.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    return check(Scenario, load(path.read_bytes(), path.name), path.name)
