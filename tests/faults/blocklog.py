"""A disk image whose every write is kept in order: what lay on the disk at any moment of a power cut.

The image is a file served by this module over FUSE; a loop device on it is the disk. The kernel's file system writes
its blocks here, and asks for a flush wherever it needs one, so the log of writes and flushes tells what a disk may hold
after the power went at any moment: all writes so far, or, with a volatile cache, all up to the last flush and any of
the later.

Source of the protocol: linux/include/uapi/linux/fuse.h, version 7.31.
"""

from __future__ import annotations

import errno
import mmap
import os
import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faults.kernel import mount

_HEAD = struct.Struct("<IIQQIIII")
_OUT = struct.Struct("<IiQ")
_ATTRIBUTES = struct.Struct("<QQQQQQIIIIIIIIII")
_ATTRIBUTES_OUT = struct.Struct("<QII")
_INIT_OUT = struct.Struct("<IIIIHHIIHH8I")
_SPAN = struct.Struct("<QQI")
_FALLOCATE = struct.Struct("<QQQII")
_RECORD = struct.Struct("<QI")
_COUNTER = struct.Struct("<Q")

_FORGET, _GETATTR, _OPEN, _READ, _WRITE, _RELEASE, _FSYNC, _FLUSH = 2, 3, 14, 15, 16, 18, 20, 25
_INIT, _INTERRUPT, _DESTROY, _BATCH_FORGET, _FALLOCATED = 26, 36, 38, 42, 43
_UNANSWERED = (_FORGET, _BATCH_FORGET, _INTERRUPT)
_WRITE_HEAD_BYTES = 40
_MAX_WRITE_BYTES = 128 * 1024
_FLAGS = 1 << 5 | 1 << 22
"""Big writes, of as many pages as the answer says."""
_MAX_PAGES = _MAX_WRITE_BYTES // 4096
_MODE = 0o100600
_FLUSHED = 2**64 - 1
"""Stands for an offset in the log: here the disk was told to flush."""


class Counter:
    """A number in shared memory: how many records the log has."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._memory = mmap.mmap(-1, _COUNTER.size)

    def read(self) -> int:
        """Return the number."""
        found: int = _COUNTER.unpack_from(self._memory)[0]
        return found

    def add_one(self) -> None:
        """Count one more."""
        _COUNTER.pack_into(self._memory, 0, self.read() + 1)


def attach(device: int, target: Path) -> None:
    """Mount what is served over this descriptor of ``/dev/fuse`` onto a file."""
    options = f"fd={device},rootmode={_MODE:o},user_id=0,group_id=0,allow_other,max_read={_MAX_WRITE_BYTES}"
    mount("blocklog", target, "fuse", options)


def serve(device: int, image: Path, log: Path, counter: Counter) -> None:
    """Serve a copy-on-write view of an image until it is unmounted; every write and flush is appended to the log."""
    with image.open("rb") as base, log.open("wb", buffering=0) as out:
        size = os.fstat(base.fileno()).st_size
        view = mmap.mmap(base.fileno(), size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        server = _Server(view, size, out.write, counter)
        while True:
            try:
                request = os.read(device, _MAX_WRITE_BYTES + 4096)
            except InterruptedError:
                continue
            except OSError as error:
                if error.errno == errno.EPERM:  # nobody has mounted it yet
                    time.sleep(0.001)
                    continue
                if error.errno in (errno.ENODEV, errno.ENOTCONN):
                    return
                raise
            length, opcode, unique, *_ = _HEAD.unpack_from(request)
            number, answer = server.answer(opcode, memoryview(request)[_HEAD.size : length])
            if opcode not in _UNANSWERED:
                os.write(device, _OUT.pack(_OUT.size + len(answer), -number, unique) + answer)


class _Server:
    def __init__(self, view: mmap.mmap, size: int, append: Callable[[bytes], object], counter: Counter) -> None:
        self._view, self._size, self._append, self._counter = view, size, append, counter

    def answer(self, opcode: int, body: memoryview) -> tuple[int, bytes]:
        """Return error number and bytes of the answer to one request."""
        if opcode == _WRITE:
            _, offset, size = _SPAN.unpack_from(body)
            self._keep(offset, bytes(body[_WRITE_HEAD_BYTES : _WRITE_HEAD_BYTES + size]))
            return 0, struct.pack("<II", size, 0)
        if opcode == _READ:
            _, offset, size = _SPAN.unpack_from(body)
            return 0, self._view[offset : offset + size]
        if opcode in (_FSYNC, _FLUSH):
            self._append(_RECORD.pack(_FLUSHED, 0))
            self._counter.add_one()
            return 0, b""
        if opcode == _FALLOCATED:
            _, offset, length, _, _ = _FALLOCATE.unpack_from(body)
            self._keep(offset, bytes(length))  # loop devices ask for it to discard, or to write zeros
            return 0, b""
        if opcode == _INIT:
            return 0, _INIT_OUT.pack(7, 31, 0, _FLAGS, 16, 12, _MAX_WRITE_BYTES, 1, _MAX_PAGES, *(0,) * 9)
        if opcode == _GETATTR:
            blocks = self._size // 512
            attributes = _ATTRIBUTES.pack(1, self._size, blocks, *(0,) * 6, _MODE, 1, 0, 0, 0, 4096, 0)
            return 0, _ATTRIBUTES_OUT.pack(3600, 0, 0) + attributes
        if opcode == _OPEN:
            return 0, struct.pack("<QII", 1, 0, 0)
        return (0, b"") if opcode in (_RELEASE, _DESTROY, *_UNANSWERED) else (errno.ENOSYS, b"")

    def _keep(self, offset: int, content: bytes) -> None:
        self._view[offset : offset + len(content)] = content
        self._append(_RECORD.pack(offset, len(content)) + content)
        self._counter.add_one()


@dataclass(frozen=True, slots=True)
class Write:
    """One record of a log: bytes at an offset; None instead of an offset: a flush."""

    offset: int | None
    content: bytes


def read_log(path: Path) -> list[Write]:
    """Return the records of a log in order."""
    raw, at, found = path.read_bytes(), 0, list[Write]()
    while at + _RECORD.size <= len(raw):
        offset, size = _RECORD.unpack_from(raw, at)
        at += _RECORD.size
        found.append(Write(None if offset == _FLUSHED else offset, raw[at : at + size]))
        at += size
    return found


def surviving(writes: list[Write], cut: int, chance: random.Random | None = None) -> list[Write]:
    """Return what of the first ``cut`` records is on the disk: with ``chance``, a volatile cache loses some of them.

    What was written before the last flush is always there. Of what came later, each block of 4 KiB is there or not.
    """
    before = writes[:cut]
    last = max((n for n, write in enumerate(before) if write.offset is None), default=-1)
    kept = [w for w in before[: last + 1] if w.offset is not None]
    for write in before[last + 1 :]:
        for begin in range(0, len(write.content), 4096):
            if chance is None or chance.random() < 0.5:
                assert write.offset is not None
                kept.append(Write(write.offset + begin, write.content[begin : begin + 4096]))
    return kept


def write_image(base: Path, writes: list[Write], target: Path) -> None:
    """Write the image that a base has become by these writes; what is empty stays sparse.

    A file of that name is not written to but replaced: a loop device may still be letting go of it.
    """
    target.unlink(missing_ok=True)
    copy_sparse(base, target)
    descriptor = os.open(target, os.O_WRONLY)
    try:
        for write in writes:
            assert write.offset is not None
            os.pwrite(descriptor, write.content, write.offset)
    finally:
        os.close(descriptor)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file without what is empty in it."""
    with source.open("rb") as one, target.open("wb") as other:
        size = os.fstat(one.fileno()).st_size
        other.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(one.fileno(), at, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                raise
            end = os.lseek(one.fileno(), at, os.SEEK_HOLE)
            while at < end:
                at += os.sendfile(other.fileno(), one.fileno(), at, end - at) if _seek(other.fileno(), at) else 0


def _seek(descriptor: int, at: int) -> bool:
    return os.lseek(descriptor, at, os.SEEK_SET) == at
