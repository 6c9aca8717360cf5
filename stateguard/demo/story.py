"""The main job, told in chapters; each checks what it promises."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from stateguard.demo.proof import prove
from stateguard.demo.stage import MARKER, BrokenPromiseError, Stage
from stateguard.errors import RefusedError
from stateguard.demo.example import copy_example, play
from stateguard.host.clock import boot_seconds

_CONFIRM, _SOAK = "6s", "6s"
_PUSH_DONE = "git exits 0 and main has moved"


def tell_story(home: Path, tell: Callable[[str], None]) -> int:
    """Play the whole demo in a directory and leave it stopped; returns the number of promises kept.

    Raises:
        RefusedError: the directory is somebody else's, or a promise was not kept.
    """
    _clear(home, tell)
    stage = Stage(home, tell)
    try:
        for chapter in (
            _found, _conversation, _good_push, _invalid_push, _breaking_push, _mended_push, _bad_later, _hand_edit, _killed,
        ):  # fmt: skip
            chapter(stage)
        prove(stage)
    finally:
        _stop(stage)
    _farewell(stage)
    return stage.promises


def _clear(home: Path, tell: Callable[[str], None]) -> None:
    if not home.exists():
        home.mkdir(parents=True)
    elif (home / MARKER).exists():
        tell(f"replacing the earlier demo in {home}")
        earlier = Stage(home, lambda _: None)
        if (home / "guard.yaml").exists():
            earlier.guard("--quiet", "agent", "stop", "--all")
            _end_daemon(earlier)
        shutil.rmtree(home)
        home.mkdir()
    elif any(home.iterdir()):
        raise RefusedError(f"{home} is not empty and no earlier demo", next_step="name another: stateguard demo DIR")
    (home / MARKER).write_text("made by stateguard demo; may be deleted\n", encoding="utf-8")


def _end_daemon(stage: Stage) -> None:
    answer = stage.guard("--json", "status")
    if answer.returncode == 0 and json.loads(answer.stdout)["guard"]["running"]:
        os.kill(json.loads(answer.stdout)["guard"]["pid"], signal.SIGTERM)


def _found(stage: Stage) -> None:
    stage.chapter("A system of six agents is taken under guard", "stateguard init --from example")
    copy_example(stage.example)
    _shorten(stage.example)
    stage.tell(f"         (windows are shortened here: confirm {_CONFIRM} instead of 30s, soak {_SOAK} instead of 15m;")
    stage.tell("          everything that may act by itself is armed in the demo's own guard.yaml)")
    done = stage.guard("init", "--from", stage.example, "--live", stage.live, "--probe-runs", "3")
    stage.output(done.stderr)
    stage.promise("the home is made, baseline/1 is signed, the agents run", done.returncode == 0, done.stderr)
    for trigger in ("failure", "prediction"):
        stage.promise(f"{trigger} is armed to act", stage.guard("arming", "set", trigger, "act").returncode == 0)
    before = {a["name"]: a["pid"] for a in stage.ask("status")["agents"]}
    stage.start_daemon()
    after = {a["name"]: a["pid"] for a in stage.ask("status")["agents"]}
    stage.promise("it took over the six running agents and started none twice", before == after and len(after) == 6)  # noqa: PLR2004 - as many as the example has
    stage.must("git", "clone", "-q", stage.home / "repo.git", stage.work)


def _shorten(example: Path) -> None:
    state = example / "stateguard.yaml"
    text = state.read_text(encoding="utf-8")
    text = text.replace("confirm_window: 10s", f"confirm_window: {_CONFIRM}").replace("soak: 15m", f"soak: {_SOAK}")
    state.write_text(text.replace("period_seconds: 1", "period_seconds: 0.5"), encoding="utf-8")


def _soaked(stage: Stage, number: int) -> None:
    stage.until(
        f"it has soaked: baseline/{number} is signed",
        lambda s: s["baseline"]["number"] == number and s["health"] == "HEALTHY",
    )


def _conversation(stage: Stage) -> None:
    stage.chapter("A user talks to the system")
    stage.output(_say(stage, "plan my week")[:160] + " ...")
    turns = (stage.live / "conversations/parent.jsonl").read_text(encoding="utf-8").count("\n")
    stage.promise("the plan came back, the conversation is on record in the live directory", turns > 2)  # noqa: PLR2004 - the example ships two turns
    _say(stage, "shopping list")
    stage.promise("the shopping agent remembers it in a SQLite database", _remembered(stage) == ["shopping list"])


def _say(stage: Stage, text: str) -> str:
    port = (stage.example / "agents/parent/agent.yaml").read_text(encoding="utf-8").split('PORT: "')[1].split('"')[0]
    asked = json.dumps({"text": text, "conversation": "demo"}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/message", asked)  # noqa: S310 - our own agent
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own agent
        return str(answer.read().decode())


def _remembered(stage: Stage) -> list[str]:
    """Return what users have said to the shopping agent, from a database that is whole."""
    place = (stage.live / "conversations/shopping.db").as_uri() + "?mode=ro"
    with closing(sqlite3.connect(place, uri=True)) as database:
        if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            return []
        return [said for (said,) in database.execute("SELECT content FROM turn WHERE role = 'user'")]


def _good_push(stage: Stage) -> None:
    stage.chapter("A good change is pushed: tried on the running agents, accepted, soaked")
    with (stage.work / "agents/nutrition/prompt.md").open("a", encoding="utf-8") as prompt:
        prompt.write("\nPrefer food of the season.\n")
    done = stage.push("Prefer food of the season")
    stage.promise(_PUSH_DONE, done.returncode == 0 and stage.main == _head(stage), done.stderr)
    stage.promise("the live prompt holds the change", "season" in _live(stage, "agents/nutrition/prompt.md"))
    _soaked(stage, 2)


def _invalid_push(stage: Stage) -> None:
    stage.chapter("An invalid change is refused before anything happens")
    before = stage.main
    stage.edit("agents/planning/agent.yaml", "restart: always", "restart: sometimes")
    done = stage.push("Restart sometimes")
    stage.promise("git exits 1, main has not moved", done.returncode == 1 and stage.main == before)
    stage.promise("the refusal names file, line and reason", "agents/planning/agent.yaml:" in done.stderr)
    stage.follow_main()


def _breaking_push(stage: Stage) -> None:
    stage.chapter("A valid change that breaks nutrition: tried, taken back, rejected")
    before, good = stage.main, _live(stage, "agents/nutrition/prompt.md")
    play(stage.work, "wrong-answers")
    began = boot_seconds()
    done = stage.push("Give energy in other units")
    took = boot_seconds() - began
    stage.promise(f"git exits 1 after {took:.1f} s, main has not moved", done.returncode == 1 and stage.main == before)
    stage.promise("the pusher is told what failed", "plan-my-week failed" in done.stderr, done.stderr)
    stage.promise("the live prompt is the old one", _live(stage, "agents/nutrition/prompt.md") == good)
    status = stage.ask("status")
    stage.promise("all agents are healthy", status["health"] == "HEALTHY", str(status["agents"]))
    incident = stage.ask("incident", "list")["incidents"][0]
    report = stage.must(
        "git", "--git-dir", stage.home / "repo.git", "show", f"refs/heads/incidents:incidents/{incident['id']:04}.md"
    )
    stage.promise(f"incident {incident['id']} is resolved, its report is on branch incidents", "## Timeline" in report)
    stage.output("\n".join(report.splitlines()[:14]))
    again = stage.push_again("git push        # the same once more")
    stage.promise("the same change is refused at once", again.returncode == 1 and "withdrawn" in again.stderr, again.stderr)


def _mended_push(stage: Stage) -> None:
    stage.chapter("The change is mended and pushed again")
    stage.follow_main()
    stage.edit("agents/nutrition/prompt.md", "Prefer food of the season.", "Prefer food of the season and the region.")
    done = stage.push("Prefer food of the region")
    stage.promise(_PUSH_DONE, done.returncode == 0 and stage.main == _head(stage), done.stderr)
    _soaked(stage, 3)


def _bad_later(stage: Stage) -> None:
    stage.chapter("A change that turns bad only after it was accepted")
    good = stage.ask("baseline", "show", "3")
    before = {i["id"] for i in stage.ask("incident", "list")["incidents"]}
    play(stage.work, "bad-later")
    done = stage.push("Save on requests")
    accepted = stage.main
    stage.promise("it works at first: accepted", done.returncode == 0 and accepted == _head(stage), done.stderr)
    status = stage.until(
        "it fails within its soak; the guard goes back by itself, all agents are healthy",
        lambda s: s["revision"] != accepted and s["health"] == "HEALTHY" and not s["transition"],
    )
    same = status["desired_fingerprint"] == good["desired_fingerprint"]
    stage.promise("the live state is that of baseline/3", same)
    line = stage.must("git", "--git-dir", stage.home / "repo.git", "log", "-2", "--format=%h %s", "main")
    stage.output(line)
    kept = stage.must("git", "--git-dir", stage.home / "repo.git", "rev-parse", "main~1").strip() == accepted
    stage.promise("by a forward commit: history keeps the change that failed", kept)
    new = [i for i in stage.ask("incident", "list")["incidents"] if i["id"] not in before]
    stage.promise("one incident tells the story", len(new) == 1 and new[0]["state"] == "RESOLVED", str(new))
    stage.follow_main()


def _hand_edit(stage: Stage) -> None:
    stage.chapter("Somebody edits a live file by hand")
    path, edit = "config/limits.yaml", "# edited by hand at three in the morning\n"
    desired = _live(stage, path)
    (stage.live / path).write_text(desired + edit, encoding="utf-8")
    stage.until("the drift is seen", lambda s: any(d["path"] == path for d in s["drift"]))
    stage.until("config is a section with heal: enforce: it is put back", lambda s: not s["drift"])
    stage.promise("the file is as main has it", _live(stage, path) == desired)
    heal = next(e for e in stage.ask("history")["entries"] if e["kind"] == "heal")
    backup = stage.ask("show", str(heal["operation"]))["detail"]["backup"]
    kept = stage.must("git", "--git-dir", stage.home / "captured.git", "show", f"{backup}:{path}")
    stage.promise("the edit is kept: git --git-dir captured.git show BACKUP:config/limits.yaml", kept == desired + edit)


def _killed(stage: Stage) -> None:
    stage.chapter("A person goes back to baseline/2, and the guard is killed with -9 in the middle")
    target = stage.ask("baseline", "show", "2")
    position = stage.log_size()
    stage.tell('       $ stateguard rollback baseline/2 --reason "the region can wait" --yes &')
    person = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "stateguard", "--home", str(stage.home), "rollback", "baseline/2",
         "--reason", "the region can wait", "--yes"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _wait_for(stage, position, '"step": "specifications"')
    stage.kill_daemon()
    person.wait(60)
    stage.tell("       $ kill -9 GUARD")
    main_before = stage.main
    stage.promise("the rollback was under way: main has not moved", main_before == _head(stage))
    stage.start_daemon()
    status = stage.ask("status")
    stage.promise(
        "restarted, it finished the rollback: the live state is that of baseline/2",
        status["desired_fingerprint"] == target["desired_fingerprint"],
        json.dumps(status)[:400],
    )
    pids = [a["pid"] for a in status["agents"]]
    talk = stage.ask("fingerprint", "--live", "--files")["files"]
    kept = "plan my week" in _live(stage, "conversations/parent.jsonl") and "conversations/parent.jsonl" in talk
    kept = kept and "conversations/shopping.db" in talk and _remembered(stage) == ["shopping list"]
    stage.promise("the conversation was kept through all of this, and so was the memory in SQLite", kept)
    stage.promise("six agents, none doubled", len(set(pids)) == len(pids) == 6 and None not in pids)  # noqa: PLR2004 - as many as the example has
    stage.guard("status", show=True)


def _wait_for(stage: Stage, position: int, words: str) -> None:
    give_up_at = boot_seconds() + 20
    while '"kind": "rollback"' not in (text := stage.log_from(position)) or words not in text:
        if boot_seconds() > give_up_at:
            raise BrokenPromiseError("the rollback did not begin within 20 s")
        time.sleep(0.002)


def _stop(stage: Stage) -> None:
    if (stage.home / "guard.yaml").exists():
        stage.guard("--quiet", "agent", "stop", "--all")
    stage.stop_daemon()


def _farewell(stage: Stage) -> None:
    stage.chapter(f"{stage.promises} promises checked, all kept. The guard and the agents are stopped.", "Go on yourself:")
    program = Path(sys.executable).parent / "stateguard"
    shown = program if program.exists() else "stateguard"
    stage.tell(f"           {shown} --home {stage.home} history")
    stage.tell(f"           {shown} --home {stage.home} incident show 2")
    stage.tell(f"           {shown} --home {stage.home} status")
    stage.tell(f"           {shown} --home {stage.home} run          # starts guard and agents again")


def _head(stage: Stage) -> str:
    return stage.must("git", "rev-parse", "HEAD", cwd=stage.work).strip()


def _live(stage: Stage, path: str) -> str:
    return (stage.live / path).read_text(encoding="utf-8")
