"""`sortation migrate`, `api`, `worker`, `relay`: one part of the service each, for whoever runs them apart."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from threading import Event

import typer

import entrypoints
from core.errors import StartFailed
from entrypoints.cli.running import child_environment, connected
from entrypoints.settings import Settings, load_settings

MIGRATE_EXAMPLES = """Examples:

\b
  SORTATION_DATABASE_URL=postgresql://owner:secret@db/sortation sortation migrate
"""
API_EXAMPLES = """Examples:

\b
  sortation api                                     beside a running `sortation up`
  SORTATION_HOST=0.0.0.0 SORTATION_PORT=80 sortation api
"""
WORKER_EXAMPLES = """Examples:

\b
  sortation worker
  SORTATION_WORKER_CONCURRENCY=8 sortation worker
"""
RELAY_EXAMPLES = """Examples:

\b
  sortation relay
"""
HEADER_SECONDS = 30
"""How long a request's line and headers may take, and a connection may be idle before them."""
HEADER_BYTES = 1 << 16
WORKER_KILL_SECONDS = 8
"""How long requests may take to end when the API is told to stop: below the grace that `up` gives it."""


def migrate() -> None:
    """Bring the database to the schema of this release, with the owner's URL (SORTATION_DATABASE_URL).

    Also makes the roles that the service runs as, and is safe to repeat.
    """
    before, after = bring_up(connected(load_settings(), owner=True))
    typer.echo(f"The database is at {after} already." if before == after else f"The database is at {after} now.")


def api() -> None:
    """Serve the HTTP API on SORTATION_HOST:SORTATION_PORT (127.0.0.1:8080 unless set)."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    from entrypoints.observability import set_up_logging

    settings = connected(load_settings(), broker=True)
    check_port(settings.host, settings.port)
    environment = child_environment(settings)
    os.environ.clear()
    os.environ.update(environment)  # the workers read their settings from it
    set_up_logging(settings)
    Granian(
        "entrypoints.api.wsgi:create",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        # Not HTTP/2 as well: while the server does not know which it is, a connection has no time limit.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1_000, max_buffer_size=HEADER_BYTES),
        factory=True,
        workers=1,
        blocking_threads=settings.api_threads,
        websockets=False,
        workers_kill_timeout=WORKER_KILL_SECONDS,
        working_dir=Path(entrypoints.__file__).parents[1],  # else it would look for us in the present directory
        log_level=LogLevels(settings.log_level),
        # Its loggers keep no handlers of their own, so that their lines come out as ours do.
        log_dictconfig={"version": 1, "incremental": True, "handlers": {}, "loggers": {}},
    ).serve()


def worker() -> None:
    """Carry out jobs: read imports, sort records, ask the LLM, embed examples."""
    # Before NumPy is imported: each of the worker's processes is one thread of computing, or they fight for the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    settings = connected(load_settings(), broker=True)
    from entrypoints.worker.app import run_worker

    run_worker(settings)


def relay() -> None:
    """Publish jobs to the broker, bring back those of lost workers, seal events. Several may run.

    With the owner's URL (SORTATION_DATABASE_URL) it also does what `sortation vectors` does, every ten minutes.
    """
    settings = connected(load_settings(), broker=True)  # what is wrong is told before a second of imports
    from entrypoints.container import Container
    from entrypoints.observability import set_up_logging, set_up_tracing
    from entrypoints.worker.relay import run_relay

    set_up_logging(settings)
    set_up_tracing(settings, "relay")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_relay(Container(settings=settings), stop)


def bring_up(settings: Settings) -> tuple[str | None, str]:
    """Migrates; returns the revision before and after. Raises `StartFailed` when the database does not let us."""
    from sqlalchemy.exc import DBAPIError

    from adapters.postgres.migrate import migrate

    owner, app, system = settings.database_url, settings.app_database_url, settings.system_database_url
    try:
        return migrate(owner or "", app or "", system or "")
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise StartFailed(f"the database of SORTATION_DATABASE_URL cannot be migrated: {reason}") from error


def check_port(host: str, port: int) -> None:
    """Raises `StartFailed` when nobody could listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise StartFailed(
            f"{host}:{port} cannot be listened on ({error.strerror}): set SORTATION_PORT or SORTATION_HOST to another"
        ) from error
