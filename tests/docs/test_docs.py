"""The documentation names everything that users can type, read or write, and its links lead somewhere."""

import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from stateguard.cli.main import COMMANDS, cli
from stateguard.config.agent import AgentModel
from stateguard.config.channel import ChannelModel
from stateguard.config.host import HostModel
from stateguard.config.state import StateModel
from stateguard.config.trust import TrustModel
from stateguard.detect import failure
from stateguard.errors import StateguardError
from stateguard.guard.hooks import HOOKS
from stateguard.guard.metrics.instruments import SOURCES
from stateguard.guard.metrics.process import ProcessMetrics
from stateguard.transition.engine import StageError

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "example-state" / "README.md"],
    key=lambda page: page.as_posix(),
)
# Put together here, so that this file does not contain what it forbids.
INDEX = re.compile("py" + r"pi\.org|python" + r"hosted\.org|/simple" + "/")


def quoted() -> set[str]:
    """Return every text that stands between backquotes in the reference, whole and word by word."""
    spans = re.findall(r"`([^`\n]+)`", REFERENCE)
    return {*spans, *(word for span in spans for word in re.split(r"[\s,…|\\\[\]]+", span))}


def section(title: str) -> str:
    """Return one section of the reference."""
    return REFERENCE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield everything that can be called, with its full name: commands, and those below groups."""
    for name in COMMANDS:
        found = cli.get_command(click.Context(cli), name)
        assert found is not None
        if not isinstance(found, click.Group) or found.invoke_without_command:
            yield name, found
        if isinstance(found, click.Group):
            yield from ((f"{name} {below}", command) for below, command in found.commands.items())


def kinds(kind: type[StateguardError]) -> list[type[StateguardError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in kinds(child))]


def keys(model: type[BaseModel], lead: str = "") -> Iterator[str]:
    """Yield every key of a model, with dots; a mapping by name has NAME, a list passes for its items."""
    for name, field in model.model_fields.items():
        path = f"{lead}{field.alias or name}"
        below = [found for found in models(field.annotation) if found.__name__ not in ("NamedProbe", "UnnamedProbe")]
        yield path
        for found in below:
            yield from keys(found, f"{path}.NAME." if is_mapping(field.annotation) else f"{path}.")


def models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from models(argument)


def is_mapping(annotation: object) -> bool:
    parts = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return any(typing.get_origin(part) is dict for part in parts)


def probe_keys() -> list[str]:
    found = next(m for m in models(StateModel.model_fields["probes"].annotation) if m.__name__ == "NamedProbe")
    return list(keys(found))


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_and_option_is_in_the_reference(name: str, command: click.Command) -> None:
    rows = [row for row in section("Commands").splitlines() if f"`{name}`" in row.split(" | ")[0]]
    assert rows, f"{name} has no row"
    options = [option for p in command.params if isinstance(p, click.Option) for option in p.opts]
    missing = [option for option in options if not any(option in row for row in rows)]
    assert not missing


def test_every_global_option_is_in_the_reference() -> None:
    options = [option for p in cli.params if isinstance(p, click.Option) for option in p.opts]
    assert not [option for option in options if not any(word.startswith(option) for word in quoted())]


@pytest.mark.parametrize("kind", kinds(StateguardError))
def test_every_exit_status_is_in_the_reference(kind: type[StateguardError]) -> None:
    row = rf"^\| {kind.exit} \|.*`{kind.code}`"
    assert re.search(row, section("Exit status"), re.MULTILINE), f"{kind.exit} {kind.code}"


def test_errors_outside_of_the_tree_are_looked_at_too() -> None:
    assert StageError in kinds(StateguardError)


@pytest.mark.parametrize(
    ("title", "model"),
    [
        ("guard.yaml", HostModel),
        ("stateguard.yaml", StateModel),
        ("agents/NAME/agent.yaml", AgentModel),
        ("protocols/NAME.yaml", ChannelModel),
        ("trust/trust.yaml", TrustModel),
    ],
)
def test_every_key_is_in_the_reference(title: str, model: type[BaseModel]) -> None:
    named = set(re.findall(r"`([^`\n]+)`", section(title)))
    # A key that only holds others is named by them.
    inside = {".".join(name.split(".")[:n]) for name in named for n in range(1, name.count(".") + 1)}
    assert not [key for key in keys(model) if key not in named | inside]


def test_every_key_of_a_probe_is_in_the_reference() -> None:
    named = set(re.findall(r"`([^`\n]+)`", section("Probes")))
    assert not [key for key in probe_keys() if key not in named]


def test_every_condition_is_in_the_reference() -> None:
    types_ = [value for name, value in vars(failure).items() if name.isupper() and value == name]
    assert types_
    assert not [name for name in types_ if f"| `{name}` |" not in section("Conditions")]


def test_every_metric_is_in_the_reference_with_its_type() -> None:
    registry = CollectorRegistry()
    for make in (ProcessMetrics, *SOURCES):
        make(registry)
    listed = {row[0]: row[1] for row in re.findall(r"^\| `(stateguard_\w+)` \| (\w+) \|", REFERENCE, re.MULTILINE)}
    made = {f.name + ("_total" if f.type == "counter" else ""): f.type for f in registry.collect()}
    assert listed == made


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_in_the_reference(hook: str) -> None:
    assert f"| `{hook}` |" in section("Hooks")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_page_names_a_package_index(page: Path) -> None:
    assert INDEX.search(page.read_text(encoding="utf-8")) is None


def test_every_decision_is_in_their_index() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in folder.glob("0*.md") if f"({page.name})" not in index]
