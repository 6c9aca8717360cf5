"""Look at a file of the live directory: it exists, and was written lately enough."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePosixPath

from stateguard.host.clock import wall_seconds
from stateguard.host.walk import open_directory, open_root
from stateguard.model.agent import FileCheck
from stateguard.observe.outcome import Outcome, broken, failed, passed
from stateguard.text import words
from stateguard.text.escape import line


def check(asked: FileCheck, live: Path) -> Outcome:
    """Look at it; no symbolic link is followed, so nothing outside of the live directory can be asked about."""
    shown = line(asked.path)
    path = PurePosixPath(asked.path)
    if path.is_absolute() or ".." in path.parts or not path.name:
        return broken(f"{shown} is no path below the live directory")
    try:
        with open_root(live) as root, open_directory(root, path.parts[:-1]) as directory:
            found = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError as error:
        if error.filename == str(live):
            return broken(f"the live directory {live} is missing")
        return failed(f"{shown} does not exist")
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.ENOTDIR):
            return failed(f"{shown} lies behind a link or a file, which is not followed")
        return broken(f"{shown} cannot be looked at: {line(str(error))}")
    if not stat.S_ISREG(found.st_mode):
        return failed(f"{shown} is no regular file")
    age = max(0.0, wall_seconds() - found.st_mtime)
    if asked.max_age_seconds is not None and age > asked.max_age_seconds:
        return failed(f"{shown} was written {words.seconds(age)} ago, at most {words.seconds(asked.max_age_seconds)}")
    return passed(f"{shown} was written {words.seconds(age)} ago")
