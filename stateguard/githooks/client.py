"""The hooks' client: run as a file by ``python -I -S``, so it imports the standard library's smallest parts only.

It hands the push to the guard and relays what the guard says. The outcome belongs to the guard: when the pusher
goes away, this process may die at any moment. When the guard goes away in the middle, it is asked again, with the
same token, until it is back or clearly is not coming.
"""

from __future__ import annotations

import _socket
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

_CONNECT_SECONDS = 5
_SILENCE_SECONDS = 30
_AWAY_SECONDS = 60.0
_DAEMON_SECONDS = 20.0
_BETWEEN_SECONDS = 0.05
_PKT_HEAD = 4
_TRACES = (b"Traceback (most recent call last)", b"Fatal Python error")
_MEMORY_BYTES = 4 << 30
_PROCESSOR_SECONDS = 120
"""What a hook that admits by itself may use: it reads what nobody has judged."""
_UNDECIDED = "what became of the push: stateguard history"


class GuardAwayError(Exception):
    """The guard does not listen, or went away before it answered; ``asked`` says that it may have heard us."""

    def __init__(self, message: str, *, asked: bool) -> None:
        """Keep what happened."""
        super().__init__(message)
        self.asked = asked


class RefusalError(Exception):
    """The guard answered with an error."""


def main() -> int:
    """Run one hook; returns its exit status."""
    home = os.path.dirname(os.path.abspath(os.environ.get("GIT_DIR", ".")))
    if sys.argv[1:] == ["pre-receive"]:
        return pre_receive(home)
    if sys.argv[1:] == ["proc-receive"]:
        return proc_receive(home)
    tell("this hook is called by git, as pre-receive or proc-receive")
    return 2


def pre_receive(home: str) -> int:
    """Admit the push, or refuse it whole."""
    lines = [line.split(" ", 2) for line in sys.stdin.read().splitlines()]
    quarantine = os.environ.get("GIT_QUARANTINE_PATH")
    request = {
        "updates": lines,
        "quarantine": os.path.abspath(quarantine) if quarantine else None,
        "options": options(),
        "user": user(),
    }
    try:
        verdict = last(ask(home, "admit", request))
    except GuardAwayError:
        return fall_back(home, "admit", request)
    except RefusalError as error:
        tell(f"{error}; refused, nothing was changed")
        return 1
    for line in verdict["lines"]:
        tell(line)
    return 0 if verdict["admitted"] else 1


def proc_receive(home: str) -> int:
    """Own main: hand each update to the guard, and answer git with what it decides."""
    version = read_section()
    write(b"version=1\0push-options\n" if version and b"push-options" in version[0] else b"version=1\n")
    flush()
    commands = [line.decode().rstrip("\n").split(" ", 2) for line in read_section()]
    given = [o.decode().rstrip("\n") for o in read_section()] if version and b"push-options" in version[0] else []
    for old, new, name in commands:
        verdict = deliver(
            home, {"token": os.urandom(16).hex(), "old": old, "new": new, "options": given, "user": user()}
        )
        write(f"ok {name}".encode() if verdict["ok"] else f"ng {name} {verdict['reason']}".encode())
    flush()
    return 0


def deliver(home: str, request: dict[str, Any]) -> dict[str, Any]:
    """Hand one update to the guard until it has answered; one that had heard it and died is given time to return."""
    asked, away_since = False, 0.0
    while True:
        try:
            answer: dict[str, Any] = last(relay(ask(home, "push", request)))
        except RefusalError as error:
            return {"ok": False, "reason": str(error)}
        except GuardAwayError as error:
            if error.asked and not asked:
                tell("the guard went away; waiting for it")
            if error.asked or not away_since:
                asked, away_since = asked or error.asked, time.monotonic()
            patience = _AWAY_SECONDS if daemon_holds(home) else _DAEMON_SECONDS if asked else 0.0
            if time.monotonic() - away_since >= patience:
                return away(home, request)
            time.sleep(_BETWEEN_SECONDS)
        else:
            return answer


def away(home: str, request: dict[str, Any]) -> dict[str, Any]:
    """Let this host's interpreter admit the push without the daemon."""
    path = os.path.join(home, "run", f"answer-{request['token']}")
    if fall_back(home, "push", request | {"answer": path}):
        return {"ok": False, "reason": "the guard stopped before it answered; see stateguard history"}
    try:
        with open(path, encoding="utf-8") as answer:
            found: dict[str, Any] = json.load(answer)
        os.unlink(path)
    except (OSError, ValueError):
        return {"ok": False, "reason": "the guard left no answer; see stateguard history"}
    return found


def fall_back(home: str, command: str, request: dict[str, Any]) -> int:
    """Run the hook in this interpreter with its libraries; returns its exit status."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    argv = [sys.executable, "-I", "-m", "stateguard", "--home", home, "hook", command]
    asked, asking = os.pipe()
    said, saying = os.pipe()
    child = os.fork()
    if child == 0:
        for descriptor, number in ((asked, 0), (saying, 1), (saying, 2)):
            os.dup2(descriptor, number)
        os.closerange(3, saying + 1)
        if command == "admit":
            bound()
        os.execve(argv[0], argv, environment)
    os.close(asked)
    os.close(saying)
    hand_over(asking, json.dumps(request).encode())
    pass_on(home, said, "refused, nothing was changed" if command == "admit" else _UNDECIDED)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def hand_over(descriptor: int, content: bytes) -> None:
    """Write a request to a child; one that ends before it has read it says why by its status."""
    try:
        with os.fdopen(descriptor, "wb") as pipe:
            pipe.write(content)
    except BrokenPipeError:
        return


def pass_on(home: str, descriptor: int, outcome: str) -> None:
    """Let the pusher read what a child says; what only helps those who mend it goes into a file of the home."""
    with os.fdopen(descriptor, "rb") as pipe:
        said = pipe.read()
    if not any(trace in said for trace in _TRACES):
        show(said)
        return
    path = os.path.join(home, "logs", f"hook-{os.getpid()}.txt")
    try:
        with open(path, "wb") as file:
            file.write(said)
    except OSError as error:
        path = f"nowhere: {error.strerror}"
    tell(f"the hook failed: {said.decode(errors='replace').strip().splitlines()[-1]}; {outcome}")
    tell(f"  next: stateguard doctor; what happened is in {path}")


def bound() -> None:
    """Bound what this process may use, where it is not bound more narrowly already."""
    import resource

    for what, most in ((resource.RLIMIT_AS, _MEMORY_BYTES), (resource.RLIMIT_CPU, _PROCESSOR_SECONDS)):
        now, hard = resource.getrlimit(what)
        if now == resource.RLIM_INFINITY or now > most:
            resource.setrlimit(what, (most, hard))


def daemon_holds(home: str) -> bool:
    """Say whether a daemon stood in the writer lock last: it may be on its way back."""
    try:
        with open(os.path.join(home, "run", "writer.lock"), encoding="utf-8") as lock:
            holder = json.load(lock)
        os.kill(int(holder["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return False
    return bool(holder.get("role") == "daemon")


def ask(home: str, command: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the documents that the guard answers.

    Raises:
        GuardAwayError: it does not listen, or went away.
        RefusalError: it answered with an error.
    """
    body = json.dumps(request).encode()
    head = f"POST /v1/{command} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    asked = False
    try:
        connection.settimeout(_CONNECT_SECONDS)
        connection.connect(address(home))
        asked = True
        connection.settimeout(_SILENCE_SECONDS)
        rest = memoryview(head.encode() + body)
        while rest:
            rest = rest[connection.send(rest) :]
        yield from documents(connection)
    except OSError as error:
        raise GuardAwayError(str(error), asked=asked) from error
    finally:
        connection.close()


def documents(connection: _socket.socket) -> Iterator[dict[str, Any]]:
    """Yield each JSON line behind the HTTP head."""
    buffer, headed = b"", False
    while chunk := connection.recv(65536):
        buffer += chunk
        if not headed:
            head, separator, rest = buffer.partition(b"\r\n\r\n")
            if not separator:
                continue
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise RefusalError(head.split(b"\r\n", 1)[0].decode(errors="replace"))
            buffer, headed = rest, True
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            document = json.loads(line)
            if "error" in document:
                raise RefusalError(document["error"]["message"])
            yield document


def last(documents: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Return the result among documents.

    Raises:
        GuardAwayError: there is none.
    """
    for document in documents:
        if "result" in document:
            result: dict[str, Any] = document["result"]
            return result
    raise GuardAwayError("no result", asked=True)


def relay(documents: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield documents, telling the pusher what is said."""
    for document in documents:
        if "say" in document:
            tell(document["say"])
        yield document


def tell(text: str) -> None:
    """Say one line to the pusher; with nobody there to read, it is dropped rather than waited for."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    show(f"stateguard: {clean}\n".encode(errors="replace"))


def show(content: bytes) -> None:
    """Write to the pusher what is fit to be shown; with nobody there to read, it is dropped."""
    try:
        os.set_blocking(2, False)
        os.write(2, content)
    except OSError:
        return  # the pusher went away; the outcome is the guard's, and it is recorded


def address(home: str) -> str:
    """Return the address of the control socket; a long path goes through a directory descriptor."""
    path = os.path.join(home, "run", "control.sock")
    if len(os.fsencode(path)) < 100:  # noqa: PLR2004 - sun_path has 108 bytes
        return path
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{descriptor}/control.sock"


def options() -> list[str]:
    """Return the push options that git passes to pre-receive."""
    count = os.environ.get("GIT_PUSH_OPTION_COUNT", "0")
    return [os.environ.get(f"GIT_PUSH_OPTION_{n}", "") for n in range(int(count) if count.isdigit() else 0)]


def user() -> str:
    """Return the name of the user that this hook runs as."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def read_section() -> list[bytes]:
    """Read pkt-lines up to a flush."""
    lines: list[bytes] = []
    while True:
        head = os.read(0, _PKT_HEAD)
        while head and len(head) < _PKT_HEAD:
            chunk = os.read(0, _PKT_HEAD - len(head))
            if not chunk:
                sys.exit("git ended in the middle of a line")
            head += chunk
        length = int(head or b"0", 16)
        if length < _PKT_HEAD:
            return lines
        body = b""
        while len(body) < length - _PKT_HEAD:
            chunk = os.read(0, length - _PKT_HEAD - len(body))
            if not chunk:
                sys.exit("git ended in the middle of a line")
            body += chunk
        lines.append(body)


def write(content: bytes) -> None:
    """Write one pkt-line."""
    os.write(1, f"{len(content) + _PKT_HEAD:04x}".encode() + content)


def flush() -> None:
    """Write a flush."""
    os.write(1, b"0000")


def guarded() -> int:
    """Run one hook; whatever goes wrong in it refuses, in one line."""
    try:
        return main()
    except Exception as error:  # noqa: BLE001 - nobody but the pusher reads this, and they cannot mend it
        outcome = "refused, nothing was changed" if sys.argv[1:] == ["pre-receive"] else _UNDECIDED
        tell(f"the hook failed: {type(error).__name__}: {error}; {outcome}")
        return 1


if __name__ == "__main__":
    sys.exit(guarded())
