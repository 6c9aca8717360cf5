"""What `make check` says of known vulnerabilities, by a program that answers as pip-audit does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from docs.pages import ROOT

FOUND = {"name": "a", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}]}
CLEAN = {"name": "b", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (3.0)"}


class Auditing:
    """The script, a program in the place of pip-audit, and what the script remembers."""

    def __init__(self, root: Path) -> None:
        self.program, self.memory, self.requirements = root / "fake", root / "memory", root / "requirements.txt"
        self.asked = root / "asked"
        self.requirements.write_text("a==1.0\n")
        os.utime(self.requirements, (1.0, 1.0))

    def answers(self, script: str) -> None:
        self.program.write_text(f'#!/bin/sh\necho "$@" >> {self.asked}\n{script}\n')
        self.program.chmod(0o755)

    def says(self, *packages: dict[str, object], status: int = 0) -> None:
        self.answers(f"cat <<'END'\n{json.dumps({'dependencies': packages, 'fixes': []})}\nEND\nexit {status}")

    def run(self) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": os.environ["PATH"], "AUDIT_MEMORY": str(self.memory), "AUDIT_DEADLINE": "3",
            "AUDIT_REQUIREMENTS": str(self.requirements),
        }  # fmt: skip
        argv = [sys.executable, str(ROOT / ".ci" / "audit"), str(self.program)]
        return subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=60, check=False)

    def times(self) -> int:
        return len(self.asked.read_text().splitlines()) if self.asked.exists() else 0


@pytest.fixture
def auditing(tmp_path: Path) -> Auditing:
    return Auditing(tmp_path)


def test_a_finding_fails_each_time(auditing: Auditing) -> None:
    auditing.says(FOUND, CLEAN, status=1)
    for times in (1, 2):
        done = auditing.run()
        assert (done.returncode, auditing.times()) == (1, times)
        assert "a 1.0: PYSEC-1; mended in 1.1" in done.stderr
    assert f"-r {auditing.requirements} --disable-pip" in auditing.asked.read_text()


def test_without_one_it_is_asked_once_a_day_or_when_the_requirements_change(auditing: Auditing) -> None:
    auditing.says(CLEAN, UNKNOWN)
    done = auditing.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Audited: 1 package without known vulnerabilities; 1 unknown to the service.\n"
    assert (auditing.run().stdout, auditing.times()) == ("", 1)
    os.utime(auditing.requirements, (time.time() + 5, time.time() + 5))
    assert (auditing.run().returncode, auditing.times()) == (0, 2)
    os.utime(auditing.requirements, (1.0, 1.0))
    auditing.memory.write_text(f"audited {time.time() - 86401}")
    assert (auditing.run().returncode, auditing.times()) == (0, 3)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'Could not connect' >&2; exit 1", "Could not connect"),
        ("exec sleep 60", "no answer within 3 s"),
        ("echo '<html>'; exit 0", "it ended with status 0"),
        ("echo '{\"dependencies\": []}'", "it ended with status 0"),
        (f"echo '{json.dumps({'dependencies': [UNKNOWN]})}'", "the service knows none of these packages"),
    ],
)
def test_no_answer_is_said_and_is_no_failure_and_not_asked_for_an_hour(
    auditing: Auditing, script: str, why: str
) -> None:
    auditing.answers(script)
    done = auditing.run()
    assert (done.returncode, done.stdout) == (0, f"Not audited for known vulnerabilities: {why}.\n")
    assert (auditing.run().stdout, auditing.times()) == ("", 1)
    auditing.memory.write_text(f"unanswered {time.time() - 3601}")
    assert (auditing.run().stdout, auditing.times()) == (done.stdout, 2)


def test_without_the_program_it_is_said(auditing: Auditing) -> None:
    done = auditing.run()
    assert (done.returncode, done.stdout) == (
        0, "Not audited for known vulnerabilities: pip-audit cannot be run: No such file or directory.\n",
    )  # fmt: skip
