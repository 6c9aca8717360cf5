from __future__ import annotations

from pathlib import Path

from stateguard.host.mounts import kind_of

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:40 / /srv rw shared:1 - nfs4 host:/srv rw
24 23 0:41 / /srv/with\\040blank rw - tmpfs tmpfs rw
25 22 0:42 / /twice rw - overlay overlay rw
26 25 0:43 / /twice rw - xfs /dev/vdb rw
torn line
"""


def test_the_innermost_and_latest_mount_counts() -> None:
    found = {
        text: kind_of(Path(text), MOUNTS)
        for text in ("/etc", "/srv/live", "/srv/with blank/x", "/srvice", "/twice/x", "/srv")
    }
    assert found == {
        "/etc": "ext4", "/srv/live": "nfs4", "/srv/with blank/x": "tmpfs", "/srvice": "ext4", "/twice/x": "xfs",
        "/srv": "nfs4",
    }  # fmt: skip


def test_this_machine_is_read(tmp_path: Path) -> None:
    assert kind_of(Path("/proc/self")) == "proc"
    assert kind_of(tmp_path)
    assert kind_of(tmp_path, "") == ""
