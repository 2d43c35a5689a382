"""The embedded servers and their keeper, with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis
from kombu.connection import Connection as BrokerConnection
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.embedded.processes import Command, DataDirLock, Supervisor
from adapters.embedded.valkey import EmbeddedValkey
from core.errors import AlreadyRunning, StartFailed

ROOT = Path(__file__).parents[2]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")


def eventually(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def logged(data_dir: Path, name: str) -> list[str]:
    path = data_dir / "logs" / f"{name}.log"
    return path.read_text().splitlines() if path.exists() else []


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process that runs `code` with the repository on its path and no home."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[tuple[Supervisor, list[str]]]:
    events: list[str] = []
    with Supervisor(tmp_path, on_event=events.append, backoff_seconds=0.05) as supervisor:
        yield supervisor, events


def test_each_role_connects_and_none_but_the_superuser_is_mighty(postgres: EmbeddedPostgres) -> None:
    urls = postgres.start()

    for url, name, creates_roles in (
        (urls.owner, "sortation_owner", True),
        (urls.app, "sortation_app", False),
        (urls.system, "sortation_system", False),
    ):
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            assert row == (name, False, False, creates_roles)
            assert connection.execute("SELECT '[1,2]'::vector <-> '[1,4]'").fetchone() == (2.0,)
    with psycopg.connect(urls.owner) as connection:
        connection.execute("CREATE SCHEMA rooms; CREATE TABLE rooms.one (id int)")
        connection.execute("ALTER ROLE sortation_app SET statement_timeout = '1min'")
    with psycopg.connect(urls.app) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE mine (id int)")
    with psycopg.connect(urls.superuser) as connection:
        assert connection.execute("SHOW jit").fetchone() == ("off",)
        assert connection.execute("SHOW max_wal_size").fetchone() == ("4GB",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_stop_cuts_open_connections_and_leaves_no_process(postgres: EmbeddedPostgres) -> None:
    before = children()
    urls = postgres.start()
    with psycopg.connect(urls.app) as connection:
        connection.execute("SELECT 1")

        postgres.stop()

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert not postgres.running()
    assert children() == before
    postgres.stop()


def test_the_second_start_makes_and_recovers_nothing_and_finds_the_data(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    urls = postgres.start()
    with psycopg.connect(urls.owner) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.stop()

    made, served = logged(tmp_path, "initdb"), logged(tmp_path, "postgres")
    assert postgres.start() == urls
    assert postgres.start() == urls
    assert logged(tmp_path, "initdb") == made
    anew = logged(tmp_path, "postgres")[len(served) :]
    assert [line for line in anew if "starting PostgreSQL" in line] == anew[:1]
    assert any("database system was shut down at" in line for line in anew)

    with psycopg.connect(urls.owner) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_running_server_is_adopted(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    postgres.start()
    pid = postmaster(tmp_path)

    other = EmbeddedPostgres(tmp_path)
    with psycopg.connect(other.start().app):
        assert postmaster(tmp_path) == pid
    other.stop()

    assert gone(pid)
    assert not postgres.running()


SLOW_TO_END = """
import os, signal, sys
from pathlib import Path
pid_file, seconds = Path(sys.argv[1]) / "postmaster.pid", float(sys.argv[2])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
pid_file.write_text(f"{os.getpid()}\\n")
print("up", flush=True)
signal.sigwait([signal.SIGINT])
pid_file.unlink()
signal.sigtimedwait([signal.SIGINT], seconds)
"""


def test_a_server_is_waited_for_though_its_pid_file_is_gone(tmp_path: Path) -> None:
    """PostgreSQL takes the file away before it ends: on a busy machine, some time before."""
    cluster = tmp_path / "postgres"
    cluster.mkdir()
    with python(SLOW_TO_END, cluster, 0.5) as server:
        assert says(server) == "up"

        EmbeddedPostgres(tmp_path).stop()

        assert gone(server.pid)


HOST = """
import sys
from pathlib import Path
from adapters.embedded.postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1])).start()
print("up", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_the_server_of_a_killed_parent_is_taken_over(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    with python(HOST, tmp_path) as parent:
        assert says(parent) == "up"
        pid = postmaster(tmp_path)
        parent.kill()

    with psycopg.connect(postgres.start().app) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    postgres.stop()
    assert gone(pid)


@linux_only
def test_the_server_ends_with_a_killed_parent(tmp_path: Path) -> None:
    with python(HOST, tmp_path) as parent:
        assert says(parent) == "up"
        pid = postmaster(tmp_path)
        parent.kill()

    eventually(lambda: gone(pid))


def test_a_killed_server_recovers_though_its_pid_is_somebody_elses_by_now(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    urls = postgres.start()
    with psycopg.connect(urls.owner) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    pid_file = tmp_path / "postgres" / "postmaster.pid"
    old = pid_file.read_text()
    psutil.Process(postmaster(tmp_path)).kill()
    eventually(lambda: not postgres.running())
    pid_file.write_text(f"{os.getpid()}\n{old.partition(chr(10))[2]}")

    postgres.start()

    with psycopg.connect(urls.owner) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


@pytest.mark.slow
def test_half_a_cluster_is_made_anew(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "PG_VERSION").write_text("18\n")

    with psycopg.connect(postgres.start().app):
        assert not (tmp_path / "postgres.new").exists()


@pytest.mark.slow
def test_a_deep_data_directory_works(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("deep" * 30) / "a,b c%d")
    try:
        urls = server.start()
        with psycopg.connect(urls.app) as connection:
            socket_dir = connection.info.host
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()
    assert not Path(socket_dir).exists()


def test_a_server_that_cannot_start_says_why(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    postgres.start()
    postgres.stop()
    with (tmp_path / "postgres" / "postgresql.conf").open("a") as configuration:
        configuration.write("no_such_setting = 1\n")

    with pytest.raises(StartFailed, match=r"postgres\.log") as caught:
        postgres.start()
    assert "\n" not in str(caught.value)
    assert not postgres.running()


def test_valkey_serves_those_who_know_the_password_and_forgets_all(tmp_path: Path) -> None:
    before = children()
    server = EmbeddedValkey(tmp_path)
    url = server.start()
    try:
        assert server.start() == url
        with BrokerConnection(url) as broker:  # type: ignore[no-untyped-call]
            broker.connect()
        with redis.Redis.from_url(url) as client:
            client.set("key", "value")
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            port = client.get_connection_kwargs()["port"]
        with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert server.pid is not None
        process = psutil.Process(server.pid)
        assert str(urlsplit(url).password) not in " ".join(process.cmdline())

        process.kill()
        eventually(lambda: not server.running())
        assert server.start() == url
        with redis.Redis.from_url(url) as client:
            assert client.get("key") is None
    finally:
        server.stop()
    assert not server.running()
    assert children() == before


TALKER = "import os, signal; print(os.environ['WHO'], os.getpid(), flush=True); signal.pause()"
STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = '''
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
held = b"x" * (128 << 20)  # which takes the system a moment to give back
print("deaf", flush=True)
signal.pause()
'''
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
signal.pause()
"""


def test_a_killed_child_is_started_again_and_its_output_kept(
    supervisor: tuple[Supervisor, list[str]], tmp_path: Path
) -> None:
    keeper, events = supervisor
    child = keeper.run("talker", [sys.executable, "-c", TALKER], {"WHO": "me"})
    eventually(lambda: len(logged(tmp_path, "talker")) == 1)
    first = child.pid
    assert first is not None

    psutil.Process(first).kill()

    eventually(lambda: len(logged(tmp_path, "talker")) == 2)
    assert logged(tmp_path, "talker") == [f"me {first}", f"me {child.pid}"]
    assert events == ["talker died; starting it again in 0.05 s"]


def test_a_child_that_keeps_dying_is_tried_ever_more_rarely(supervisor: tuple[Supervisor, list[str]]) -> None:
    keeper, events = supervisor

    keeper.run("weak", [sys.executable, "-c", "raise SystemExit(3)"])

    eventually(lambda: len(events) >= 3)
    assert [event.split()[-2] for event in events[:3]] == ["0.05", "0.1", "0.2"]


def test_what_a_dead_child_left_running_is_killed(supervisor: tuple[Supervisor, list[str]], tmp_path: Path) -> None:
    keeper, _ = supervisor
    child = keeper.run("stubborn", [sys.executable, "-c", STUBBORN])
    eventually(lambda: len(logged(tmp_path, "stubborn")) == 1)
    grandchild = int(logged(tmp_path, "stubborn")[0])
    assert child.pid is not None

    psutil.Process(child.pid).kill()

    eventually(lambda: gone(grandchild))


@linux_only
def test_what_gives_way_is_weighed_less_with_all_that_it_starts(
    supervisor: tuple[Supervisor, list[str]], tmp_path: Path
) -> None:
    keeper, _ = supervisor
    grouped = Path("/proc/self/autogroup").exists()
    group = "open('/proc/self/autogroup').read().split()[-1]" if grouped else "'none'"
    inner = f"import os; print(os.nice(0), {group}, flush=True)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}]); import signal; signal.pause()"
    own = os.nice(0)
    keeper.run("first", [sys.executable, "-c", outer])
    keeper.run("last", [sys.executable, "-c", outer], gives_way=True)
    eventually(lambda: all(logged(tmp_path, name) for name in ("first", "last")))
    assert logged(tmp_path, "first") == [f"{own} {'0' if grouped else 'none'}"]
    assert logged(tmp_path, "last") == [f"{min(own + 10, 19)} {'10' if grouped else 'none'}"]


def test_a_command_that_was_stopped_has_ended_with_all_that_it_started(tmp_path: Path) -> None:
    deaf = Command("deaf", [sys.executable, "-c", STUBBORN], data_dir=tmp_path, grace_seconds=0.2)
    deaf.start()
    eventually(lambda: len(logged(tmp_path, "deaf")) == 1)
    grandchild = int(logged(tmp_path, "deaf")[0])

    deaf.stop()

    assert gone(grandchild)


def test_stop_goes_backwards_and_leaves_nothing_even_of_the_deaf(
    supervisor: tuple[Supervisor, list[str]], tmp_path: Path
) -> None:
    keeper, events = supervisor
    before = children()
    last_words = tmp_path / "last-words"
    polite = (
        "import signal, sys\n"
        "def leave(*_):\n open(sys.argv[2], 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave); print('ready', flush=True); signal.pause()"
    )
    for name in ("a", "b"):
        keeper.run(name, [sys.executable, "-c", polite, name, str(last_words)])
    deaf = Command("deaf", [sys.executable, "-c", STUBBORN], data_dir=tmp_path, grace_seconds=0.2)
    keeper.keep("deaf", deaf)
    eventually(lambda: all(logged(tmp_path, name) for name in ("a", "b", "deaf")))

    keeper.stop()

    assert last_words.read_text() == "ba"
    assert children() == before
    assert gone(int(logged(tmp_path, "deaf")[0]))
    assert events == []


@pytest.mark.slow
def test_a_killed_server_comes_back_under_its_keeper(
    supervisor: tuple[Supervisor, list[str]], postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    keeper, _ = supervisor
    urls = postgres.start()
    keeper.keep("postgres", postgres)
    first = postmaster(tmp_path)

    psutil.Process(first).kill()

    def back() -> bool:
        try:
            with psycopg.connect(urls.app):
                return postmaster(tmp_path) != first
        except psycopg.OperationalError:
            return False

    eventually(back, 60)
    keeper.stop()
    assert not postgres.running()


@linux_only
def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from adapters.embedded.processes import Supervisor
print(Supervisor(Path(sys.argv[1])).run("talker", [sys.executable, "-c", sys.argv[2]], {"WHO": "me"}).pid, flush=True)
sys.stdin.read()
"""
    with python(code, tmp_path, TALKER) as parent:
        pid = int(says(parent))
        parent.kill()

    eventually(lambda: gone(pid))


def test_one_data_directory_has_one_master(tmp_path: Path) -> None:
    data_dir = tmp_path / "new"
    code = """
import sys
from pathlib import Path
from adapters.embedded.processes import DataDirLock
DataDirLock(Path(sys.argv[1])).acquire()
print("locked", flush=True)
sys.stdin.read()
"""
    with python(code, data_dir) as other:
        says(other)
        with pytest.raises(AlreadyRunning) as caught:
            DataDirLock(data_dir).acquire()
        assert str(data_dir) in str(caught.value)
        assert str(other.pid) in str(caught.value)
        other.kill()

    with DataDirLock(data_dir), pytest.raises(AlreadyRunning, match=str(os.getpid())):
        DataDirLock(data_dir).acquire()
    with DataDirLock(data_dir):
        pass
