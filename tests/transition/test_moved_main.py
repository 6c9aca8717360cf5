"""Main moved by hand, past the hooks: judged as a push would be, then tried as every change is."""

from __future__ import annotations

import pytest

from stateguard.guard.admit import admit
from stateguard.guard.applies import Applies
from stateguard.guard.view import status
from stateguard.model.identity import MAIN
from stateguard.state.git import git
from transition.setting import BREAKS, CHANGE, STATE, Setting, everything, ignored

MENDED: dict[str, str | None] = {"config/shared.txt": "mended\n", "stateguard.yaml": STATE}


def move(setting: Setting, commit: str) -> None:
    git(setting.home.repository, "update-ref", MAIN, commit)


def test_what_may_come_in_is_applied(setting: Setting) -> None:
    guard = setting.guard
    new = setting.commit(CHANGE)
    move(setting, new)
    done = Applies(guard).catch_up(ignored)
    assert done is not None
    assert (done.outcome, guard.applied) == ("succeeded", new)


def test_what_does_not_work_is_taken_back(setting: Setting) -> None:
    guard = setting.guard
    live = guard.applied
    move(setting, setting.commit(BREAKS))
    done = Applies(guard).catch_up(ignored)
    assert done is not None
    assert done.outcome == "failed"
    assert guard.books.declared.digest(guard.applied) == guard.books.declared.digest(live)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config/nul.txt": "x\n"}, "device"),
        ({"config/-rf": "x\n"}, "option"),
        ({"config/out": "-> /etc/passwd"}, "absolute"),
        ({"stateguard.yaml": "apiVersion: stateguard/v1\nsectoins: {}\n"}, "sectoins"),
    ],
)
def test_what_would_be_refused_is_not_applied(setting: Setting, changes: dict[str, str | None], said: str) -> None:
    guard = setting.guard
    live, before = guard.applied, everything(guard.live)
    move(setting, setting.commit(changes))
    done = Applies(guard).catch_up(ignored)
    assert done is not None
    assert done.outcome == "refused"
    assert said in done.detail["message"]
    assert (guard.applied, everything(guard.live)) == (live, before)
    again = Applies(guard)
    assert again.catch_up(ignored) is None, "it is said once"
    assert status(guard, pid=None)["main_refused"] == done.detail["message"]
    mended = setting.commit({path: None for path in changes if path != "stateguard.yaml"} | MENDED)
    updates = [(guard.main, mended, MAIN)]
    admission = admit(guard, updates, None, (), "ann")
    assert admission.admitted, admission.lines
    answer = setting.push(mended)
    assert answer.accepted, answer.reason
    assert guard.main == guard.applied == mended
    assert status(guard, pid=None)["main_refused"] is None
