"""A probe that fails now and then is found out at once, and decides nothing until it is mended."""

from collections.abc import Iterator

import pytest

from driving import Driver
from tiny import ALPHA, GOOD, write_tiny

MOODY = """\
  - name: moody
    kind: readiness
    command: [sh, bin/moody.sh]
    period_seconds: 0.2
    timeout_seconds: 20
    failure_threshold: 2
"""
SCRIPT = """\
n=$(cat tmp/n 2>/dev/null || echo 0); mkdir -p tmp; echo $((n + 1)) > tmp/n
[ ! -e down ] || { echo it is down; exit 1; }
[ $((n % 5)) -ne 2 ] || { echo not today; exit 1; }
"""


@pytest.fixture(scope="module")
def moody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    root = tmp_path_factory.mktemp("moody")
    source = write_tiny(root / "source", confirm="3s")
    state = source / "stateguard.yaml"
    state.write_text(state.read_text().replace("probes:\n", "probes:\n" + MOODY))
    (source / "bin/moody.sh").write_text(SCRIPT)
    driver = Driver(root, source)
    try:
        done = driver.run(
            "--json", "init", "--from", source, "--live", driver.live, "--no-baseline", "--probe-runs", "20"
        )
        assert done.returncode == 0, done.stderr
        (root / "said").write_text(done.stderr + done.stdout)
        driver.clone()
        driver.must("arming", "set", "soak", "observe")  # what fails on purpose here is not to be taken back
        yield driver.start()
    finally:
        driver.close()


def test_init_says_which_probe_cannot_be_required(moody: Driver) -> None:
    said = (moody.root / "said").read_text()
    assert "trying 4 probes, 20 runs each" in said
    assert "tested 4 probes, up to 20 runs each, in " in said
    assert " of 20 runs (not today): it cannot be required, and counts as wanted" in said
    assert "judge failed" not in said
    assert '"flaky": true' in said


def test_what_it_says_is_told_everywhere_and_decides_nothing(moody: Driver) -> None:
    status = moody.status()
    (flaky,) = status["flaky"]
    assert (flaky["probe"], flaky["required"], flaky["last_failure"]) == ("/moody", True, "not today")
    assert flaky["failures"] >= 2
    assert [p["required"] for p in status["probes"] if p["name"] == "moody"] == [False]
    assert "flaky        moody failed " in moody.must("status")
    listed = {p["title"]: p for p in moody.ask("probe", "list")["probes"]}
    assert (listed["moody"]["required"], listed["moody"]["counts"]) == (True, "wanted")
    assert (listed["judge"]["counts"], listed["judge"]["tested"]["failures"]) == ("required", 0)
    assert "flaky: " in moody.must("probe", "list")
    noted = moody.ask("validate", moody.work)["notes"]
    assert noted[0].startswith("note: moody counts as wanted, not required: ")

    (moody.live / "down").touch()
    moody.wait(lambda s: [p for p in s["probes"] if p["name"] == "moody" and p["health"] == "UNHEALTHY"])
    assert moody.status()["health"] == "HEALTHY"
    done = moody.offer(ALPHA, GOOD + "# while it is down\n")
    assert done.returncode == 0, done.stderr
    assert "remote: stateguard: note: moody counts as wanted" in done.stderr
    assert moody.status()["incidents"] == []
    (moody.live / "down").unlink()


@pytest.fixture
def mended(moody: Driver) -> Driver:
    """Lend the home with the probe mended: tests of one module may be run by several workers."""
    moody.sync()
    text = (moody.work / "stateguard.yaml").read_text()
    if "mended" not in text:
        moody.edit("stateguard.yaml", text.replace("[sh, bin/moody.sh]", "[sh, bin/moody.sh, mended]"))
        moody.edit("bin/moody.sh", "[ ! -e down ] || { echo it is down; exit 1; }\n")
        moody.commit("Mend the probe")
        done = moody.push()
        assert done.returncode == 0, done.stderr
        assert "moody counts" not in done.stderr, "with another specification it is a new probe, not tested yet"
    return moody


def test_a_mended_probe_is_required_again(mended: Driver) -> None:
    assert mended.wait(lambda s: s["flaky"] == [])["health"] == "HEALTHY"
    assert [p["required"] for p in mended.status()["probes"] if p["name"] == "moody"] == [True]
    tested = mended.ask("probe", "test", "moody", "alpha", "--count", "5")
    assert [(p["probe"], p["runs"], p["failures"]) for p in tested["probes"]] == [
        ("/moody", 5, 0),
        ("alpha/ready", 5, 0),
    ]


def test_a_probe_that_fails_its_test_stops_counting_and_one_that_passes_counts_again(mended: Driver) -> None:
    (mended.live / "down").touch()
    mended.wait(lambda s: s["health"] == "UNHEALTHY")
    tested = mended.ask("probe", "test", "moody", status=1)
    assert (tested["flaky"], tested["probes"][0]["runs"]) == (["/moody"], 10)
    mended.wait(lambda s: s["health"] == "HEALTHY" and s["flaky"])
    (mended.live / "down").unlink()
    assert "moody" in mended.must("probe", "test", "moody", "--count", "5")
    mended.wait(lambda s: s["health"] == "HEALTHY" and s["flaky"] == [] and not s["incidents"])


def test_bad_words_are_refused(moody: Driver) -> None:
    assert moody.refused("probe", "test", "nobody", status=15)["next"].startswith("probes: ")
    for words in (["probe", "test", "--count", "0"], ["probe", "test", "--count", "many"], ["probe", "list", "x"]):
        moody.refused(*words, status=2)
    assert moody.run("init", "--probe-runs", "-1").returncode == 2
