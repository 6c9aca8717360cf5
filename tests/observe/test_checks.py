from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from observe.servers import closed_port, listening, web
from stateguard.model.agent import CommandCheck, FileCheck, HttpCheck, TcpCheck
from stateguard.model.health import Result
from stateguard.observe import command, file, http, tcp
from stateguard.observe.outcome import Outcome


def shell(script: str, timeout_seconds: float = 5.0, live: Path = Path("/")) -> Outcome:
    return command.check(CommandCheck(("sh", "-c", script)), timeout_seconds, live)


class TestHttp:
    @pytest.mark.parametrize(("status", "result"), [(200, "pass"), (301, "pass"), (399, "pass"), (400, "fail")])
    def test_200_to_399_pass(self, status: int, result: str) -> None:
        with web() as server:
            server.status = status
            assert http.check(HttpCheck(server.url), 5.0).result == result

    def test_a_failure_says_status_and_reason(self) -> None:
        with web() as server:
            server.status, server.body = 503, b"\n  budget \x1b[31mis negative\nmore\n"
            assert http.check(HttpCheck(server.url), 5.0).message == "HTTP 503: budget \\x1b[31mis negative"
            server.body = b"x" * 1000
            message = http.check(HttpCheck(server.url), 5.0).message
            assert len(message) == len("HTTP 503: ") + 120
            server.body = b""
            assert http.check(HttpCheck(server.url), 5.0).message == "HTTP 503"

    def test_nobody_listens(self) -> None:
        port = closed_port()
        assert http.check(HttpCheck(f"http://127.0.0.1:{port}/x"), 5.0) == Outcome(
            Result.FAIL, f"connection refused on 127.0.0.1:{port}"
        )

    def test_no_answer_in_time_is_no_data(self) -> None:
        with listening() as port:
            found = http.check(HttpCheck(f"http://127.0.0.1:{port}"), 0.1)
        assert found == Outcome(Result.NO_DATA, "no answer in 0.1 s")

    def test_a_connection_closed_without_a_word_is_a_failure(self) -> None:
        with web() as server:
            server.raw = lambda _: None
            assert http.check(HttpCheck(server.url), 5.0).result is Result.FAIL

    def test_what_cannot_be_asked_is_an_error(self) -> None:
        with web() as server:
            server.raw = lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")
            assert http.check(HttpCheck(server.url), 5.0).result is Result.ERROR
        for url in ("http://nobody.invalid/", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "nonsense", "http://a b/"):
            found = http.check(HttpCheck(url), 5.0)
            assert found.result is Result.ERROR, url
            assert found.message


class TestTcp:
    def test_an_open_port_passes(self) -> None:
        with listening() as port:
            assert tcp.check(TcpCheck("127.0.0.1", port), 5.0).result is Result.PASS

    def test_a_closed_port_fails(self) -> None:
        port = closed_port()
        assert tcp.check(TcpCheck("127.0.0.1", port), 5.0) == Outcome(
            Result.FAIL, f"connection refused on 127.0.0.1:{port}"
        )

    def test_names_without_an_address_and_bad_ports_are_errors(self) -> None:
        assert tcp.check(TcpCheck("nobody.invalid", 1), 5.0).result is Result.ERROR
        assert tcp.check(TcpCheck("127.0.0.1", 70000), 5.0).result is Result.ERROR


class TestCommand:
    def test_status_0_passes(self) -> None:
        assert shell("echo fine") == Outcome(Result.PASS, "fine")

    def test_a_failure_says_its_last_line(self) -> None:
        assert shell("echo first; echo last; echo; exit 3") == Outcome(Result.FAIL, "last")
        assert shell("echo out; echo 'the reason' >&2; exit 3").message == "the reason"
        assert shell("exit 3").message == "exit status 3"
        assert shell("kill -9 $$").message == "killed by signal 9"
        assert len(shell(f"echo {'x' * 500}; exit 1").message) == 200
        assert shell("printf 'a\\033[31m\\377'; exit 1").message == "a\\x1b[31m\N{REPLACEMENT CHARACTER}"

    def test_it_runs_in_the_live_directory(self, tmp_path: Path) -> None:
        assert shell("pwd", live=tmp_path).message == str(tmp_path)

    def test_no_answer_in_time_is_no_data(self) -> None:
        begun = time.monotonic()
        assert shell("sleep 60", 0.2) == Outcome(Result.NO_DATA, "no answer in 0.2 s")
        assert time.monotonic() - begun < 5

    def test_what_cannot_be_started_is_an_error(self, tmp_path: Path) -> None:
        found = command.check(CommandCheck(("python9",)), 1.0, tmp_path)
        assert found == Outcome(Result.ERROR, "python9: no such program or directory")
        assert command.check(CommandCheck(("/etc/passwd",)), 1.0, tmp_path).result is Result.ERROR
        assert command.check(CommandCheck(("a\0b",)), 1.0, tmp_path).result is Result.ERROR
        assert command.check(CommandCheck((sys.executable,)), 1.0, tmp_path / "gone").result is Result.ERROR


class TestFile:
    def test_it_exists_and_is_young_enough(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        path = tmp_path / "a" / "b"
        path.write_text("")
        assert file.check(FileCheck("a/b"), tmp_path).result is Result.PASS
        os.utime(path, (time.time() - 75, time.time() - 75))
        assert file.check(FileCheck("a/b", 80.0), tmp_path).result is Result.PASS
        found = file.check(FileCheck("a/b", 60.0), tmp_path)
        assert found == Outcome(Result.FAIL, "a/b was written 75 s ago, at most 60 s")
        os.utime(path, (time.time() + 75, time.time() + 75))
        assert file.check(FileCheck("a/b", 60.0), tmp_path).result is Result.PASS

    @pytest.mark.parametrize("path", ["a", "a/b", "directory"])
    def test_what_is_not_there_fails(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "directory").mkdir()
        assert file.check(FileCheck(path), tmp_path).result is Result.FAIL

    def test_no_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("/etc/passwd")
        (tmp_path / "etc").symlink_to("/etc")
        assert file.check(FileCheck("link"), tmp_path).result is Result.FAIL
        assert file.check(FileCheck("etc/passwd"), tmp_path).result is Result.FAIL

    @pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", ".", "a\0b"])
    def test_a_path_that_is_not_below_the_live_directory_is_an_error(self, tmp_path: Path, path: str) -> None:
        assert file.check(FileCheck(path), tmp_path).result is Result.ERROR

    def test_a_missing_live_directory_is_an_error(self, tmp_path: Path) -> None:
        assert file.check(FileCheck("a"), tmp_path / "gone").result is Result.ERROR
