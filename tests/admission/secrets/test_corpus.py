from collections import Counter

import pytest

from admission.secrets.benign import benign
from admission.secrets.corpus import is_found, placed
from admission.secrets.specimens import SURROUNDINGS, specimens
from architecture.sources import named, repository_files
from stateguard.admission.secrets.rules import RULES
from stateguard.admission.secrets.scan import KINDS, TOO_MUCH, find

SAMPLES = 3
WANTED_RECALL = 0.97
ALLOWED_FALSE_ALARMS = 0.03
PUBLISHED = ("docs/", "example-state/", "templates/")


def test_secrets_in_ordinary_surroundings_are_found() -> None:
    """Each counts if it is found as what it is, on its line; a person who is told another kind is told too little."""
    cases = placed(SAMPLES)
    missed = [(specimen.kind, where) for where, specimen, text in cases if not is_found(specimen, text)]
    assert len({specimen.kind for _, specimen, _ in cases}) >= 40
    assert 1 - len(missed) / len(cases) >= WANTED_RECALL, Counter(missed).most_common(30)


def test_every_kind_is_found() -> None:
    found = {finding.kind for _, specimen, text in placed(SAMPLES) for finding in find(text.encode())}
    assert sorted({TOO_MUCH, *found}) == list(KINDS)


def test_what_only_looks_like_a_secret_is_not_found() -> None:
    texts = benign()
    alarms = [(text[:80], found) for text in texts if (found := find(text.encode()))]
    assert len(texts) >= 300
    assert len(alarms) / len(texts) <= ALLOWED_FALSE_ALARMS, alarms
    assert not alarms


def test_what_the_project_publishes_has_none() -> None:
    files = [path for path in repository_files() if named(path).startswith(PUBLISHED)]
    found = {named(path): secrets for path in files if (secrets := find(path.read_bytes()))}
    assert len(files) > 100
    assert found == {}


def test_one_secret_is_one_finding() -> None:
    """The rule that goes by the name of a setting is silent where one that knows the format has spoken."""
    for where, specimen, text in placed(SAMPLES):
        if where in {"env", "mcp", "export"} and not specimen.by_name:
            assert len(find(text.encode())) <= 1, (specimen.kind, where)


def test_the_kinds_are_those_of_the_rules() -> None:
    assert list(KINDS) == sorted({TOO_MUCH, *(rule.kind for rule in RULES)})
    assert len({(rule.kind, rule.title) for rule in RULES if rule.kind != "openssh-private-key"}) == len(KINDS) - 2


@pytest.mark.parametrize("where", sorted(SURROUNDINGS))
def test_the_place_is_that_of_the_value(where: str) -> None:
    for specimen in specimens(1):
        text = SURROUNDINGS[where](specimen)
        start = text.index(specimen.value)
        line = text.count("\n", 0, start) + 1
        first = start - (text.rfind("\n", 0, start) + 1) + 1
        for found in find(text.encode()):
            assert found.line == line, (specimen.kind, text)
            assert first <= found.column < first + len(specimen.value), (specimen.kind, text)
