"""Make ``home-vN.tar.gz``: a guard home of the version of this checkout, for the tests of later versions to open.

Usage, from a checkout of the last commit of a version: ``python tests/upgrade/make_home.py``. The home has two accepted
pushes, a refused one with its incident, two baselines and drift that was healed. It lies beside its live directory,
named relatively, without processes, sockets, reserve and logs; but for a neutral path in an incident's report nothing
in it names the machine that made it. Its key guards nothing.
"""

from __future__ import annotations

import io
import platform
import re
import shutil
import sqlite3
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from driving import Driver  # noqa: E402 - found beside this folder
from tiny import ALPHA, GOOD, write_tiny  # noqa: E402 - likewise

_LEFT_OUT = re.compile(r"home/(reserve|run/.+|logs/agents/.+|guard\.db-(wal|shm))|live/(logs/.+|\.stateguard\.lock)")


def main() -> None:
    """Make the home, live through a little, and pack it."""
    root = Path(tempfile.gettempdir(), "stateguard-home")  # a neutral path: reports of incidents name it
    root.mkdir()
    try:
        driver = Driver(root, write_tiny(root / "source"))
        try:
            _live(driver)
        finally:
            driver.close()
        version = _settle(driver)
        target = HERE / f"home-v{version}.tar.gz"
        target.write_bytes(_packed(root))
        sys.stdout.write(f"{target.name}: {target.stat().st_size} bytes\n")
    finally:
        shutil.rmtree(root)


def _live(driver: Driver) -> None:
    driver.init("--no-baseline").start()
    driver.must("baseline", "create")
    assert driver.offer(ALPHA, GOOD + "# second\n").returncode == 0
    assert driver.offer(ALPHA, "wrong\n").returncode == 1
    driver.sync()
    (driver.live / "config/shared.yaml").write_text("limits: {plans: 4}\n")
    driver.wait(lambda s: not s["drift"] and driver.newest(kind="heal")["outcome"] == "succeeded")
    assert driver.offer(ALPHA, GOOD + "# third\n").returncode == 0
    driver.must("baseline", "create")


def _settle(driver: Driver) -> int:
    """Make the home one that lies anywhere; returns its version."""
    settings = driver.home / "guard.yaml"
    text = re.sub(r"^live: .*$", "live: ../live", settings.read_text(), flags=re.MULTILINE)
    settings.write_text(re.sub(r"^name: .*$", 'name: "kitchen"', text, flags=re.MULTILINE))
    for hook in (driver.repository / "hooks").iterdir():
        hook.write_text(re.sub(r"'/[^']*/", "'/nowhere/", hook.read_text()))
    connection = sqlite3.connect(driver.home / "guard.db")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    connection.close()
    return version


def _packed(root: Path) -> bytes:
    packed = io.BytesIO()
    places = (sys.prefix, str(HERE.parents[1]), platform.node())
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=9) as archive:
        for path in _chosen(root):
            if path.is_file() and any(place.encode() in _plain(path) for place in places):
                raise SystemExit(f"{path} names the machine that made it")
            entry = archive.gettarinfo(path, str(path.relative_to(root)))
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
            with path.open("rb") if path.is_file() else io.BytesIO() as content:
                archive.addfile(entry, content)
    return packed.getvalue()


def _chosen(root: Path) -> Iterator[Path]:
    for top in (root / "home", root / "live"):
        for path in (top, *sorted(top.rglob("*"))):
            name = str(path.relative_to(root))
            sample = path.suffix == ".sample" or "/info/exclude" in name
            if not _LEFT_OUT.fullmatch(name) and not sample and not path.is_symlink():
                yield path


def _plain(path: Path) -> bytes:
    """Return the content of a file, also of a loose git object."""
    content = path.read_bytes()
    try:
        return zlib.decompress(content)
    except zlib.error:
        return content


if __name__ == "__main__":
    main()
