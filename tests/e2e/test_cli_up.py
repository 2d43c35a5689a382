"""`sortation up` as a user meets it: the demo's table, the printed key, a second start, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from adapters.embedded.processes import runs
from tests.processes import command_of, kill
from tests.stack import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = [sys.executable, "-m", "entrypoints.cli"]
READY = "Serving until Ctrl-C."
pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    process: subprocess.Popen[str]
    family: list[psutil.Process]
    said: str

    def stop(self, number: signal.Signals = signal.SIGTERM) -> str:
        """What it says on its way out."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=60)
        return rest


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sortation-tests-") as folder:
        yield Path(folder) / "data"


@pytest.fixture
def port() -> int:
    return free_port()


def environment(data_dir: Path, port: int) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SORTATION_", "OTEL_"))}
    return ours | {"SORTATION_DATA_DIR": str(data_dir), "SORTATION_PORT": str(port), "PYTHONUNBUFFERED": "1"}


def sortation(data_dir: Path, port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(data_dir, port),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def running(data_dir: Path, port: int, *arguments: str) -> Iterator[Up]:
    """A service that says it is ready. Whatever of it is left at the end fails the test."""
    process = subprocess.Popen(
        [*COMMAND, "up", *arguments],
        env=environment(data_dir, port),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line.strip() == READY:
                break
        said = "".join(lines)
        assert READY in said, said
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) > 5
        yield Up(process=process, family=family, said=said)
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode == 0
    psutil.wait_procs(family, timeout=30)  # those that go when what they serve has gone
    left = [one.pid for one in family if runs(one)]
    assert left == []
    assert not (data_dir / "services.json").exists()


def get(url: str, key: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def part_of(process: psutil.Process) -> str:
    """The subcommand that a process of ours runs; nothing for others, and for dead ones."""
    command = command_of(process)
    return command[-1] if "entrypoints.cli" in command else ""


def counts(said: str) -> dict[str, int]:
    """The rows of the demo's table."""
    found = re.findall(r"^\s*((?:sorted|waiting|decided) \S.*?)\s{2,}(\d+)\s+\d+%", said, re.MULTILINE)
    return {label: int(count) for label, count in found}


def test_the_demo_is_sorted_kept_and_shown_again(data_dir: Path, port: int) -> None:
    arguments = ("--statement", str(EXAMPLES / "statement.csv"))
    with running(data_dir, port, *arguments) as first:
        total = int(re.findall(r"statement\.csv: (\d+) records", first.said)[0])
        table = counts(first.said)
        assert total > 400
        assert sum(table.values()) == total
        assert table["sorted by rules"] > total / 2
        assert table["sorted by similarity"] > 0
        assert re.search(r"[\d,]+ records/s", first.said)
        key = re.findall(r"Demo key\s+(\S+)", first.said)[0]
        assert f"http://127.0.0.1:{port}/api/docs" in first.said

        # The printed link lets somebody with a browser in.
        link = re.findall(r"Console\s+(\S+) \(choose a password", first.said)[0]
        with urllib.request.urlopen(link, timeout=30) as page:  # noqa: S310
            assert "demo@example.com" in page.read().decode()

        # The printed command works as printed.
        command = shlex.split(re.findall(r"Try\s+(curl .*)", first.said)[0])
        assert command[0] == "curl"
        url, header = command[-1], command[command.index("-H") + 1]
        assert header == f"Authorization: Bearer {key}"
        items = get(url, key)["items"]
        assert items
        for item in items:
            assert item["reasoning_trace"]["reason"]
            assert item["reasoning_trace"]["stages"][0]["stage"] == "rules"

        assert (data_dir / "demo-key").stat().st_mode & 0o777 == 0o600
        assert (data_dir / "services.json").stat().st_mode & 0o777 == 0o600

        second = sortation(data_dir, port, "up")
        assert second.returncode == 2
        assert second.stdout == ""
        assert str(first.process.pid) in second.stderr
        assert second.stderr.count("\n") == 1

        imports = f"http://127.0.0.1:{port}/api/v1/imports"
        imported = get(imports, key)["items"]
        assert [one["filename"] for one in imported].count("statement.csv") == 1
        jobs = json.loads(sortation(data_dir, port, "jobs", "list", "--status", "done", "--json").stdout)
        assert {"records:ingest", "records:process", "examples:embed"} <= {job["stream"] for job in jobs}
        assert sortation(data_dir, port, "jobs", "dead").stdout == "no dead letters\n"
        assert "already" in sortation(data_dir, port, "migrate").stdout
        assert "Stopped." in first.stop()

    with running(data_dir, port, *arguments) as again:
        assert get(imports, key)["items"] == imported  # nothing is read again
        assert counts(again.said) == table
        assert key in again.said
        again.stop(signal.SIGINT)


def test_a_dead_letter_is_listed_and_replayed(data_dir: Path, port: int) -> None:
    with running(data_dir, port, "--demo", "--statement", str(EXAMPLES / "history.csv")) as up:
        key = re.findall(r"Demo key\s+(\S+)", up.said)[0]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/imports?filename=broken.ofx",
            data=b"OFXHEADER:100\n\n<OFX><BANKMSGSRSV1>",
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/octet-stream"},
        )
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
        deadline = time.monotonic() + 60
        dead: list[Any] = []
        while not dead and time.monotonic() < deadline:
            dead = json.loads(sortation(data_dir, port, "jobs", "dead", "--json").stdout)
        assert [job["stream"] for job in dead] == ["records:ingest"]
        assert dead[0]["last_error"]
        assert dead[0]["id"] in sortation(data_dir, port, "jobs", "dead").stdout
        replayed = sortation(data_dir, port, "jobs", "replay", dead[0]["id"])
        assert replayed.stdout == "1 job is queued again\n"
        unknown = sortation(data_dir, port, "jobs", "replay", "0192f0c1-0000-7000-8000-000000000000")
        assert unknown.returncode == 2
        assert "there is no job" in unknown.stderr


def test_a_taken_port_is_one_line(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = sortation(data_dir, taken.getsockname()[1], "up")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "SORTATION_PORT" in refused.stderr
    assert not (data_dir / "postgres").exists()


def test_parts_that_die_are_started_again(data_dir: Path, port: int) -> None:
    with running(data_dir, port, "--no-demo") as up:
        for part in ("api", "worker", "relay"):
            victims = [one for one in up.family if part_of(one) == part]
            assert kill(victims), f"no {part}: {[command_of(one) for one in up.family]}"
        deadline = time.monotonic() + 60
        revived: set[str] = set()
        while revived < {"api", "worker", "relay"} and time.monotonic() < deadline:
            family = psutil.Process(up.process.pid).children(recursive=True)
            revived = {part_of(one) for one in family if one not in up.family} & {"api", "worker", "relay"}
        assert revived == {"api", "worker", "relay"}
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                    assert answer.status == 200
                    break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("the API did not come back")


@pytest.mark.parametrize("after", ["Starting PostgreSQL", "Starting Valkey", "Starting api"])
def test_told_to_stop_while_starting_it_leaves_nothing(after: str, data_dir: Path, port: int) -> None:
    process = subprocess.Popen(
        [*COMMAND, "up", "--no-demo"],
        env=environment(data_dir, port),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(after):
            break
    process.terminate()
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()  # where it did not obey, it takes its processes along
    # The API may serve by the time that this process had its turn: then it is an end like any other.
    assert process.returncode in (128 + signal.SIGTERM, *([0] if after == "Starting api" else []))
    assert err == ""
    left = [one.pid for one in psutil.process_iter(["cmdline"]) if str(data_dir) in " ".join(one.info["cmdline"] or ())]
    assert left == []


def test_killed_outright_it_takes_its_processes_along(data_dir: Path, port: int) -> None:
    if sys.platform != "linux":
        pytest.skip("the kernel's order to die with the parent is Linux's")
    process = subprocess.Popen(
        [*COMMAND, "up", "--no-demo"], env=environment(data_dir, port), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == READY:
            break
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    # What it noted is not believed any more.
    refused = sortation(data_dir, port, "jobs", "list")
    assert refused.returncode == 2
    assert "no `sortation up` is running" in refused.stderr
