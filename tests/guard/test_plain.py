"""Plain configuration without agents: guarded by integrity alone, and by a probe of the whole state."""

from pathlib import Path

import pytest

from driving import Driver, git, sh

PROBED = """\
apiVersion: stateguard/v1
probes:
  - name: syntax
    command: [sh, -c, "! grep -rn broken etc"]
    period_seconds: 0.2
    timeout_seconds: 20
    failure_threshold: 2
response: {confirm_window: 2s, soak: 1s, heal_after: 0.3s}
sections:
  etc: {paths: ["etc/**"], heal: enforce}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for path, text in {"etc/one.conf": "one\n", "etc/two.conf": "two\n", "run.sh": "exit 0\n"}.items():
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_text(text)
    return tmp_path / "source"


def test_files_alone_are_guarded_by_integrity(tmp_path: Path, source: Path) -> None:
    driver = Driver(tmp_path, source)
    try:
        driver.init().start()
        assert driver.status()["baseline"]["number"] == 1
        assert driver.status()["agents"] == []
        done = driver.offer("etc/one.conf", "new\n")
        assert done.returncode == 0
        assert "remote: stateguard: applied in " in done.stderr
        assert "agent" not in done.stderr, "there are none to speak of"
        assert (driver.live / "etc/one.conf").read_text() == "new\n"
        (driver.live / "etc/two.conf").unlink()
        (driver.live / "etc/one.conf").write_text("by hand\n")
        drift = [{"path": "etc/one.conf", "kind": "changed"}, {"path": "etc/two.conf", "kind": "removed"}]
        driver.wait(lambda s: s["drift"] == drift)
        assert driver.ask("apply")["outcome"] == "succeeded"
        assert (driver.live / "etc/two.conf").read_text() == "two\n"
        driver.must("baseline", "create")
        assert driver.ask("rollback", "1", "--yes")["outcome"] == "succeeded"
        assert (driver.live / "etc/one.conf").read_text() == "one\n"
        assert driver.ask("baseline", "verify")["valid"]
        assert driver.offer("stateguard.yaml", "apiVersion: stateguard/v1\nnonsense: 1\n").returncode == 1
    finally:
        driver.close()


def test_files_with_a_probe_take_back_what_breaks_them(tmp_path: Path, source: Path) -> None:
    (source / "stateguard.yaml").write_text(PROBED)
    driver = Driver(tmp_path, source)
    try:
        driver.init().start()
        main = driver.main
        done = driver.offer("etc/one.conf", "broken\n")
        assert done.returncode == 1
        assert "remote: stateguard: syntax failed 2 times" in done.stderr
        assert "(unhealthy: rolled back, incident 1)" in done.stderr
        assert driver.main == main
        assert (driver.live / "etc/one.conf").read_text() == "one\n"
        sh("git", "reset", "-q", "--hard", "origin/main", cwd=driver.work)
        assert driver.offer("etc/one.conf", "good\n", "-o", "wait=confirmed").returncode == 0
        driver.wait(lambda s: s["baseline"]["number"] == 2)
        (driver.live / "etc/two.conf").write_text("broken by hand\n")
        driver.wait(lambda s: not s["drift"] and s["health"] == "HEALTHY")
        assert (driver.live / "etc/two.conf").read_text() == "two\n"
        assert git(driver.repository, "rev-parse", "baseline/2^{commit}") == driver.main
    finally:
        driver.close()
