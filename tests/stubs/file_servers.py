"""Servers of files on loopback, each over a folder of a test: FTP and SFTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import ThreadedFTPServer

USER, PASSWORD = "acme", "canary-of-files-0123456789"


@dataclass(frozen=True, kw_only=True)
class FileServer:
    folder: Path
    url: str
    host_key: str = ""
    client_key: str = ""
    """Of a user who is let in by it."""


class _Anybody(DummyAuthorizer):  # type: ignore[misc]
    def validate_authentication(self, username: str, password: str, handler: Any) -> None:
        """Lets everybody in."""


@contextmanager
def ftp_server(folder: Path, *, any_password: bool = False) -> Iterator[FileServer]:
    authorizer = _Anybody() if any_password else DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(folder), perm="elr")
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer})
    # A loop of its own: the one that all share would be closed with the first of them.
    server = ThreadedFTPServer(("127.0.0.1", 0), handler, ioloop=IOLoop())
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():  # it can't be closed while it waits for requests: the thread would break down
            server.serve_forever(timeout=0.05, blocking=False)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield FileServer(folder=folder, url=f"ftp://127.0.0.1:{server.address[1]}")
    finally:
        stopping.set()
        thread.join(10)
        server.close_all()


class _Lets(asyncssh.SSHServer):
    def __init__(self, key: asyncssh.SSHKey) -> None:
        self._key = key.convert_to_public()

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return bool(username == USER and key == self._key)


@contextmanager
def sftp_server(folder: Path) -> Iterator[FileServer]:
    """Proves itself by either of two keys, of which `host_key` is the one that clients ask for last."""
    proofs = [asyncssh.generate_private_key(kind) for kind in ("ssh-ed25519", "ssh-rsa")]
    key = asyncssh.generate_private_key("ssh-ed25519")
    loop, started = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []

    def files(channel: Any) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(folder))

    async def serve() -> None:
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=proofs, server_factory=lambda: _Lets(key), sftp_factory=files
        )
        ports.append(server.get_port())
        started.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield FileServer(
            folder=folder,
            url=f"sftp://localhost:{ports[0]}",
            host_key=" ".join(proofs[1].export_public_key().decode().split()[:2]),
            client_key=key.export_private_key().decode(),
        )
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
