"""Small disks in files: made, mounted on loop devices, and mounted so that every write is logged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from faults import blocklog
from faults.box import boxed

T = TypeVar("T")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class FileSystem:
    """How to make and to mount one kind of file system."""

    name: str
    megabytes: int
    make: tuple[str, ...]
    options: str


FILE_SYSTEMS = {
    fs.name: fs
    for fs in (
        FileSystem(
            "ext4", 48, ("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=1,lazy_journal_init=1"), "loop"
        ),
        FileSystem(
            "ext4-noauto",
            48,
            ("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=1,lazy_journal_init=1"),
            "loop,noauto_da_alloc",
        ),
        FileSystem("xfs", 320, ("mkfs.xfs", "-q", "-K"), "loop,nouuid"),
    )
}


def missing() -> str:
    """Say what this machine lacks for power cuts; nothing if it has all."""
    if os.geteuid() != 0:
        return "needs root, for mounts"
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not Path(path).exists():
            return f"needs {path}"
    for program in ("mkfs.ext4", "mkfs.xfs", "mount", "umount"):
        if shutil.which(program) is None:
            return f"needs {program} (e2fsprogs, xfsprogs, mount)"
    return ""


def make_image(fs: FileSystem, image: Path) -> None:
    """Make an empty file system in a sparse file."""
    with image.open("wb") as stream:
        stream.truncate(fs.megabytes * _MIB)
    _run(*fs.make, str(image))
    _run("fallocate", "--dig-holes", str(image))


def on_disk(
    fs: FileSystem, image: Path, at: Path, work: Callable[[], T], seconds: float = 120.0, *, keep: bool = False
) -> T:
    """Do something in a box that has an image mounted; whatever still runs at its end is killed.

    ``keep``: unmount it then, so that all that was written is in the image.
    """

    def inside() -> T:
        _run("mount", "-o", fs.options, str(image), str(at))
        if not keep:
            return work()
        done = boxed(work, seconds)  # whatever it leaves open ends with its own box
        _run("umount", str(at))
        return done

    return boxed(inside, seconds)


def logged(
    fs: FileSystem, image: Path, scratch: Path, work: Callable[[blocklog.Counter], T], seconds: float = 120.0
) -> tuple[T, list[blocklog.Write]]:
    """Do something in a box on a copy-on-write view of an image; returns its result, and what reached the disk.

    ``scratch`` is a directory with the mount point ``disk``. The work may read from the counter how many records the
    log has.
    """
    counter, log, front = blocklog.Counter(), scratch / f"{image.name}.log", scratch / f"{image.name}.view"
    front.touch()
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)

    def inside() -> T:
        blocklog.attach(device, front)
        os.close(device)
        _run("mount", "-o", fs.options, str(front), str(scratch / "disk"))
        return work(counter)

    server = os.fork()
    if server == 0:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # without its disk a mount hangs the host
            signal.signal(number, signal.SIG_IGN)
        try:
            blocklog.serve(device, image, log, counter)
        except BaseException:  # noqa: BLE001 - a forked process must not run on as its parent
            traceback.print_exc()
        finally:
            os._exit(0)
    try:
        result = boxed(inside, seconds)
        writes = blocklog.read_log(log)
    finally:
        os.close(device)
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
        log.unlink(missing_ok=True)
        front.unlink()
    return result, writes


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{' '.join(argv)}: {done.stderr.strip()}"
        raise OSError(message)
