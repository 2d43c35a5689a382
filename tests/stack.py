"""The whole service as real processes, for tests that use it as its users do, and hurt it as the world does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Any

import psutil
import psycopg

from tests.processes import command_of, kill

ROOT = Path(__file__).parents[1]
OPERATOR_KEY = "an-operator-key-that-only-tests-know-0123456789"
COMMAND = (sys.executable, "-m", "entrypoints.cli")
START_SECONDS = 90
_MINE = 20_000 + 1_000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 12)
_PORTS = iter(SystemRandom().sample(range(_MINE, _MINE + 1_000), 1_000))


def free_port() -> int:
    """One of those that the kernel gives to nobody, each once: every process of a run has its own thousand, in no order
    because of other runs."""
    return next(filter(_is_free, _PORTS))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass(kw_only=True)
class Stack:
    """A running `sortation up`, and its API."""

    data_dir: Path
    environment: Mapping[str, str]
    port: int
    process: subprocess.Popen[bytes]
    key: str = ""
    tenant_id: str = ""
    output: Path = field(default_factory=Path)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and body of an API call. Bytes go out as they are, anything else as JSON."""
        raw = isinstance(body, bytes)
        data = body if raw or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method)  # noqa: S310
        request.add_header("Authorization", f"Bearer {self.key if key is None else key}")
        request.add_header("Content-Type", "application/octet-stream" if raw else "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def new_tenant(self, name: str = "Test", **settings: Any) -> None:
        """Makes a tenant that trusts the starter pack, and uses its key from here on."""
        given = {"trusted_packs": ["bank"], "spot_check_share": 0.0, **settings}
        status, made = self.call(
            "POST", "/api/v1/tenants", {"name": name, "time_zone": "Europe/Berlin", "settings": given}, key=OPERATOR_KEY
        )
        assert status == 201, made
        self.key, self.tenant_id = made["api_key"], made["tenant"]["id"]

    def upload(self, payload: bytes, filename: str = "statement.csv", **headers: str) -> dict[str, Any]:
        status, made = self.call("POST", f"/api/v1/imports?filename={filename}", payload, headers=headers)
        assert status == 202, made
        return dict(made)

    def services(self) -> dict[str, str]:
        return dict(json.loads((self.data_dir / "services.json").read_text()))

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """As the app's role, in the tenant."""
        with psycopg.connect(self.services()["app_database_url"]) as connection:
            connection.execute("SELECT set_config('app.tenant_id', %s, true)", [self.tenant_id])
            return connection.execute(sql.encode(), parameters).fetchall()

    def processes(self, words: str) -> list[psutil.Process]:
        """Descendants whose command line has `words`."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in family if words in " ".join(command_of(child))]

    def wait_until(self, done: Callable[[], bool], *, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                if done():
                    return
            except (urllib.error.URLError, psycopg.OperationalError, ConnectionError, TimeoutError):
                pass  # what is restarting does not answer yet
            assert time.monotonic() < end, f"not within {seconds} s; {self.state()}"
            time.sleep(0.2)

    def idle(self) -> bool:
        """Whether no job is open."""
        [(n,)] = self.query("SELECT count(*) FROM jobs WHERE status IN ('queued', 'published', 'running')")
        return n == 0

    def state(self) -> str:
        jobs = self.query("SELECT stream, status, count(*), max(last_error) FROM jobs GROUP BY 1, 2")
        records = self.query("SELECT status, count(*) FROM records GROUP BY 1")
        return f"jobs {jobs}, records {records}"

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def running_stack(
    data_dir: Path, *, command: Sequence[str | Path] = COMMAND, cwd: Path = ROOT, **environment: str
) -> Iterator[Stack]:
    """`sortation up --no-demo` in `data_dir`, ready; stopped at the end, with everything that it started."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SORTATION_")}
    env = {
        **inherited,
        "SORTATION_DATA_DIR": str(data_dir),
        "SORTATION_PORT": str(port),
        "SORTATION_OPERATOR_KEY": OPERATOR_KEY,
        "SORTATION_LEARN_DELAY_SECONDS": "0",
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    data_dir.mkdir(parents=True, exist_ok=True)
    output = data_dir / "up.out"
    with output.open("ab") as out:
        process = subprocess.Popen([*map(str, command), "up", "--no-demo"], cwd=cwd, env=env, stdout=out, stderr=out)
    stack = Stack(data_dir=data_dir, environment=env, port=port, process=process, output=output)
    try:
        _await_ready(stack)
        yield stack
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        try:
            if process.poll() is None:
                stack.stop()
        finally:
            process.kill()  # where it did not obey
            _, alive = psutil.wait_procs(family, timeout=10)
            left = [command_of(one) for one in alive]
            kill(alive)
        assert not alive, f"left running: {left}"


def _await_ready(stack: Stack) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert stack.process.poll() is None, stack.output.read_text()
        try:
            status, body = stack.call("GET", "/readyz")
            if status == 200 and body["status"] == "ready":
                return
        except (urllib.error.URLError, ConnectionError, json.JSONDecodeError):
            pass  # not listening yet
        time.sleep(0.1)
    raise AssertionError(f"not ready within {START_SECONDS} s: {stack.output.read_text()}")
