from pathlib import Path

import pytest

from admission.trees import directory
from stateguard.admission.admit import judge
from stateguard.config.defaults import default_policy

EXAMPLE = Path(__file__).resolve().parents[2] / "example-state"


def test_the_example_is_admitted() -> None:
    verdict = judge(directory(EXAMPLE), None, default_policy())
    assert [problem.text() for problem in verdict.problems] == []
    assert verdict.system is not None
    assert {"parent", "nutrition"} <= verdict.system.agents.keys()


@pytest.mark.parametrize("path", sorted(p.parent.name for p in EXAMPLE.glob("agents/*/agent.yaml")))
def test_every_agent_of_the_example_can_be_found_ready(path: str) -> None:
    verdict = judge(directory(EXAMPLE), None, default_policy())
    assert verdict.system is not None
    assert any(probe.required for probe in verdict.system.agents[path].probes)
