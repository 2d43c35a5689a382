"""Fixtures that tests of more than one layer share: an embedded PostgreSQL, a fresh database for each test, storage."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from shutil import disk_usage

import psycopg
import pytest
import structlog
from flask import Flask
from hypothesis import HealthCheck, settings
from jinja2.bccache import Bucket, BytecodeCache
from psycopg import sql
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from werkzeug.routing import Rule

from adapters.embedded import OWNER_ROLE
from adapters.embedded.postgres import DATABASE, DatabaseUrls, EmbeddedPostgres
from adapters.postgres.migrate import migrate
from adapters.postgres.system import PostgresSystem
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemIds
from entrypoints.garbage import collect_less
from tests.shared_engines import SharedEngines

# How long an example takes, or is in the making, tells of the machine and what else it does. What must be fast has a
# test of its own.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# By default an exception in the log is drawn with the source and the local variables of each frame: for seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


_compile_builder = Rule._compile_builder


def _compile_builder_late(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    """Most tests make an application, which compiles what builds the URL of each route; most build no URL at all."""
    compiled = cache(lambda: _compile_builder(rule, append_unknown))
    return lambda of, **values: compiled()(of, **values)


Rule._compile_builder = _compile_builder_late  # type: ignore[method-assign]


class _Compiled(BytecodeCache):
    """Most tests make an application, which would compile each page that they open anew."""

    def __init__(self) -> None:
        self._pages: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._pages:
            bucket.bytecode_from_string(self._pages[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._pages[bucket.key] = bucket.bytecode_to_string()


Flask.jinja_options = {"bytecode_cache": _Compiled()}

_CARELESS = ("fsync", "synchronous_commit", "full_page_writes")
"""What a server need not do whose data may be lost."""
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - only as the folder of a temporary directory
_ENOUGH_BYTES = 2 * 1024**3


CANARY = "canary"
"""Is part of the secrets that tests make up, and of nothing else."""


def pytest_collection_finish() -> None:
    """Tests make applications and containers by the thousand: looking through all that is loaded for garbage, each
    time that some are made, takes longer than many a test."""
    collect_less()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test is no good one whose secrets were printed or logged, by whomever, while it ran; unless it `leaks`."""
    report = yield
    if report.when == "teardown" and report.passed and item.get_closest_marker("leaks") is None:
        for name, content in report.sections:
            if (at := content.find(CANARY)) >= 0:
                report.outcome = "failed"
                report.longrepr = f"{item.nodeid}: a secret shows in {name}: {content[max(at - 200, 0) : at + 100]!r}"
    return report


@pytest.fixture(autouse=True)
def loggers_are_left_on() -> Iterator[None]:
    """A test that turns loggers off, as `logging.config` does unless told otherwise, deafens all that come after it."""
    yield
    loggers = logging.root.manager.loggerDict
    off = sorted(name for name, one in loggers.items() if isinstance(one, logging.Logger) and one.disabled)
    for name in off:
        logging.getLogger(name).disabled = False
    assert not off, f"the test has turned off {len(off)} loggers, {off[0]} among them"
    assert logging.root.manager.disable == logging.NOTSET, "the test has turned off logging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    app: Engine
    system: Engine


@pytest.fixture(scope="session")
def postgres() -> Iterator[DatabaseUrls]:
    """A server of this test process's own, whose database `sortation` is migrated: the template of the others."""
    with tempfile.TemporaryDirectory(prefix="sortation-tests-", dir=_in_memory()) as directory:
        server = EmbeddedPostgres(Path(directory))
        try:
            urls = server.start()
            with psycopg.connect(urls.superuser, autocommit=True) as connection:
                for setting in _CARELESS:
                    connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
                connection.execute("SELECT pg_reload_conf()")
            migrate(urls.owner, urls.app, urls.system)
            yield urls
        finally:
            server.stop()


@pytest.fixture(scope="session")
def fresh_database(postgres: DatabaseUrls) -> Callable[[], AbstractContextManager[DatabaseUrls]]:
    """Makes a migrated, empty database (in a tenth of a second), and drops it again."""
    numbers = count(1)

    @contextmanager
    def fresh() -> Iterator[DatabaseUrls]:
        name = f"test_{next(numbers)}"
        names = {
            "name": sql.Identifier(name),
            "template": sql.Identifier(DATABASE),
            "owner": sql.Identifier(OWNER_ROLE),
        }
        with psycopg.connect(_of(postgres.superuser, "postgres"), autocommit=True) as connection:
            make = sql.SQL("CREATE DATABASE {name} TEMPLATE {template} OWNER {owner} STRATEGY FILE_COPY")
            connection.execute(make.format(**names))
            try:
                yield DatabaseUrls(
                    owner=_of(postgres.owner, name),
                    app=_of(postgres.app, name),
                    system=_of(postgres.system, name),
                    superuser=_of(postgres.superuser, name),
                )
            finally:
                connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))

    return fresh


@pytest.fixture
def database(fresh_database: Callable[[], AbstractContextManager[DatabaseUrls]]) -> Iterator[DatabaseUrls]:
    """The DSNs of a migrated, empty database of the test's own."""
    with fresh_database() as urls:
        yield urls


@pytest.fixture(scope="session")
def shared_engines() -> SharedEngines:
    return SharedEngines()


@pytest.fixture
def take_engine(shared_engines: SharedEngines) -> Iterator[Callable[..., Engine]]:
    """Engines for the time of a test; fails where they were asked out of scope."""
    yield shared_engines.take
    faults = shared_engines.give_back()
    assert not faults, faults[0]


@pytest.fixture
def engines(database: DatabaseUrls, take_engine: Callable[..., Engine]) -> Engines:
    return Engines(app=take_engine(database.app, pool_size=5), system=take_engine(database.system, pool_size=2))


@pytest.fixture
def uow(engines: Engines) -> PostgresUnitOfWork:
    return PostgresUnitOfWork(engines.app, SystemIds())


@pytest.fixture
def system(engines: Engines) -> Iterator[PostgresSystem]:
    storage = PostgresSystem(engines.system, SystemIds())
    yield storage
    storage.close()


def _in_memory() -> Path | None:
    """Where files are made seven times as fast, which a new database has hundreds of; None where there is little room,
    as there is in containers."""
    if _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK) and disk_usage(_IN_MEMORY).free > _ENOUGH_BYTES:
        return _IN_MEMORY
    return None


def _of(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)
