"""What CI runs: the hook for pre-commit and the snippets for pipelines."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.pages import ROOT, blocks
from driving import environment
from tiny import write_tiny

HOOKS = ROOT / ".pre-commit-hooks.yaml"
PAGE = ROOT / "docs" / "how-to" / "validate-in-ci.md"


def hook() -> dict[str, Any]:
    (only,) = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))
    found: dict[str, Any] = only
    return found


def run(entry: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run an entry as pre-commit does: in the root of the repository, with the environment it made."""
    program, *rest = shlex.split(entry)
    return subprocess.run(
        [str(Path(sys.executable).with_name(program)), *rest],
        cwd=directory,
        env=environment(HOME=str(directory.parent)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_hook_passes_a_good_state_and_stops_a_broken_one(tmp_path: Path) -> None:
    good, broken = write_tiny(tmp_path / "good"), write_tiny(tmp_path / "broken")
    (broken / "agents/alpha/agent.yaml").write_text("name: alpha\nnonsense: 1\n")
    assert hook()["id"] == "stateguard-validate"
    assert (hook()["language"], hook()["pass_filenames"], hook()["always_run"]) == ("python", False, True)
    done = run(hook()["entry"], good)
    assert (done.returncode, done.stdout) == (0, "valid\n"), done.stderr
    done = run(hook()["entry"], broken)
    assert done.returncode == 1
    assert "agents/alpha/agent.yaml:2" in done.stdout
    assert "Traceback" not in done.stderr
    for root in (good, broken):
        assert not (root / ".git").exists(), "nothing is written where it validates"


def commands(document: object) -> list[str]:
    """Return every command line of a pipeline, wherever it stands."""
    if isinstance(document, dict):
        lines = document.get("script", [])
        found = [*lines, *([document["run"]] if "run" in document else [])]
        return found + [line for value in document.values() for line in commands(value)]
    return [line for value in document for line in commands(value)] if isinstance(document, list) else []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_snippet_is_yaml_and_runs_the_same_check(number: int) -> None:
    snippets = [yaml.safe_load(b.text) for b in blocks(PAGE) if b.language == "yaml"]
    assert len(snippets) == 3
    pipeline = snippets[number]
    if "repos" in pipeline:
        assert [h["id"] for repo in pipeline["repos"] for h in repo["hooks"]] == [hook()["id"]]
    else:
        assert "stateguard validate ." in commands(pipeline)
        assert any(line.startswith("pip install ") for line in commands(pipeline))
