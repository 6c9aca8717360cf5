"""Packs that are too heavy to be read at all: refused by their index and the beginnings of their objects."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from packing import BLOB, COMMIT, OFFSET_DELTA, TAG, TREE, Part, chain, copy, delta, indexed, insert, pack
from stateguard.guard.budget import LARGEST_BYTES, MOST_DELTAS, MOST_OBJECTS, weight_problems
from stateguard.guard.tending import InputTender
from stateguard.model.policy import SHIPPED_ARMING, HostSettings, PushBudget
from stateguard.state.repository import Repository
from stateguard.state.settings import input_limit_bytes, settings_of, settings_unlike_wanted

MIB = 1 << 20


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.create(tmp_path_factory.mktemp("weight") / "repo.git", served=True)


def said(repository: Repository, quarantine: Path, parts: Sequence[Part]) -> list[str]:
    """Return what is said of a pack that git took in."""
    done = indexed(pack(parts), quarantine, repository.path, checks="")
    assert done.returncode == 0, done.stderr
    found = weight_problems(quarantine)
    assert all(problem.code == "budget" for problem in found)
    return [problem.message.removeprefix("the pack of this push ") for problem in found]


def multiplied(kind: int, first: bytes, times: int) -> list[Part]:
    """Return an object and a delta that makes a larger one of many of it."""
    made = delta(len(first), times * len(first), *[copy(0, len(first))] * times)
    return [Part(kind, first), Part(OFFSET_DELTA, made, 0)]


def test_chains_as_long_as_git_makes_them_come_in_and_longer_ones_do_not(
    repository: Repository, tmp_path: Path
) -> None:
    assert said(repository, tmp_path / "1", list(chain(MOST_DELTAS))) == []
    (found,) = said(repository, tmp_path / "2", list(chain(MOST_DELTAS + 1)))
    assert found.startswith("has 4,096 deltas one over another, over 4,095; ")


@pytest.mark.parametrize(("kind", "name"), [(COMMIT, "commit"), (TAG, "tag"), (TREE, "directory")])
def test_what_a_few_bytes_would_make_of_words_and_directories(
    repository: Repository, tmp_path: Path, kind: int, name: str
) -> None:
    """Neither is counted by the budget of files, and each is read whole."""
    first, most = bytes(65536), LARGEST_BYTES[kind]
    assert said(repository, tmp_path / "1", multiplied(kind, first, most // len(first))) == []
    parts = multiplied(kind, first, most // len(first) + 1)
    assert len(pack(parts)) < 8192
    (found,) = said(repository, tmp_path / "2", parts)
    assert found.startswith(f"has a {name} of ")
    assert said(repository, tmp_path / "3", multiplied(BLOB, first, most // len(first) + 1)) == []


def test_many_large_words(repository: Repository, tmp_path: Path) -> None:
    first, parts = bytes(MIB - 8), list[Part]()
    parts.append(Part(COMMIT, first))
    for number in range(256):
        parts.append(Part(OFFSET_DELTA, delta(MIB - 8, MIB, insert(b"%08d" % number), copy(0, MIB - 8)), 0))
    (found,) = said(repository, tmp_path, parts)
    assert found.startswith("has commits and tags of 257.0 MiB; push it in parts")


def test_too_many_objects_are_not_even_looked_at(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack-1.pack").write_bytes(b"PACK\0\0\0\2" + (MOST_OBJECTS + 1).to_bytes(4))
    (found,) = weight_problems(tmp_path)
    assert found.message.startswith("the pack of this push has 1000001 objects, over 1,000,000; ")


def test_a_push_without_a_pack_weighs_nothing(tmp_path: Path) -> None:
    assert weight_problems(tmp_path) == []


def test_ten_thousand_objects_are_weighed_in_no_time(repository: Repository, tmp_path: Path) -> None:
    parts = [Part(BLOB, b"%d" % number) for number in range(10_000)]
    assert indexed(pack(parts), tmp_path, repository.path).returncode == 0
    began = time.process_time()
    assert weight_problems(tmp_path) == []
    assert time.process_time() - began < 1.0


def test_git_takes_twice_the_budget_and_some_room(tmp_path: Path) -> None:
    path = Repository.create(tmp_path / "repo.git", served=True).path
    shipped = HostSettings("live", SHIPPED_ARMING)
    assert settings_of(path)["receive.maxinputsize"] == str(104 * MIB) == str(input_limit_bytes(shipped.push))
    assert (settings_of(path)["receive.unpacklimit"], settings_of(path)["transfer.fsckobjects"]) == ("1", "true")
    settings = [shipped]
    tender = InputTender(path, lambda: settings[-1])
    tender.tend()
    settings.append(replace(shipped, push=PushBudget(size_bytes=1024 * MIB)))
    tender.tend()
    assert settings_of(path)["receive.maxinputsize"] == str(2112 * MIB)
    assert settings_unlike_wanted(path, settings[-1].push) == {}
    assert settings_unlike_wanted(path, shipped.push) == {"receive.maxInputSize": str(104 * MIB)}
