"""What nobody may touch while hostile submissions are graded, and who did.

Canaries with a secret, listeners on the loopback, a name that no process may have afterwards.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grader.units import ROOT


@contextmanager
def watching() -> Iterator[Watch]:
    folder = Path(tempfile.mkdtemp(prefix="halfbits-watch-"))
    watch = Watch(folder)
    try:
        yield watch
    finally:
        watch.close()
        shutil.rmtree(folder, ignore_errors=True)


class Watch:
    """Listeners that nobody may reach, and a name that no process may have afterwards."""

    def __init__(self, folder: Path) -> None:
        self._reached: list[str] = []
        self.abstract = f"halfbits-{secrets.token_hex(6)}"
        self.socket = folder / "socket"
        self.marker = str(secrets.randbelow(10**6) + 10**7)  # seconds to sleep
        tcp = socket.create_server(("127.0.0.1", 0))
        self.port = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        self._sockets = [tcp, udp]
        for name in (str(self.socket), f"\0{self.abstract}"):
            unix = socket.socket(socket.AF_UNIX)
            unix.bind(name)
            unix.listen()
            self._sockets.append(unix)
        for one in self._sockets:
            threading.Thread(target=self._listen, args=(one,), daemon=True).start()

    def address(self, notebook: Path) -> None:
        """Put the listeners' addresses into a submission's code."""
        if notebook.is_symlink() or not notebook.is_file():
            return
        content = notebook.read_bytes()
        if len(content) > 1 << 20:
            return
        for word, value in (
            (b"PORT", str(self.port)),
            (b"ABSTRACT", self.abstract),
            (b"SOCKET'", f"{self.socket}'"),
            (b"MARKER", self.marker),
        ):
            content = content.replace(word, value.encode())
        notebook.write_bytes(content)

    def found(self) -> list[str]:
        """What happened that must not."""
        alive = [f"a process is left: {p}" for p in _commands() if self.marker in p]
        return [*self._reached, *alive]

    def close(self) -> None:
        for one in self._sockets:
            one.close()

    def _listen(self, one: socket.socket) -> None:
        try:
            said = one.recv(10) if one.type == socket.SOCK_DGRAM else one.accept()
        except OSError:
            return
        if said:
            self._reached.append(f"the listener {one.getsockname()!r} was reached")


def lay_canaries(root: Path, secret: str) -> None:
    for place in (root, root.parent):
        (place / "canary.txt").write_text(secret)


@contextmanager
def environment(secret: str) -> Iterator[None]:
    os.environ["HALFBITS_CANARY"] = secret
    try:
        yield
    finally:
        del os.environ["HALFBITS_CANARY"]


def spoiled(root: Path, secret: str) -> list[str]:
    """What was changed outside."""
    found = []
    for place in (root, root.parent):
        if (place / "canary.txt").read_text() != secret:
            found.append(f"{place.name}/canary.txt was changed")
    for top in (root.parent, ROOT / "halfbits", ROOT / "grader"):
        found += [f"{path} was written" for path in top.rglob("SPOILED*")]
    return found


def _commands() -> Iterator[str]:
    for name in os.listdir("/proc"):
        try:
            if name.isdigit():
                yield Path(f"/proc/{name}/cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
