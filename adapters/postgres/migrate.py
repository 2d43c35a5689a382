"""Brings a database to the schema of this release: extension, roles, migrations."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ProgrammingError

from adapters.postgres.engine import create
from core.errors import StartFailed

APP_ROLE, SYSTEM_ROLE = "sortation_app", "sortation_system"
_LOCK = 0x5074_1071
"""Key of the advisory lock that lets one process migrate at a time: arbitrary, only distinct."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def head() -> str:
    """The revision that this release needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101 - the release ships its migrations
    return revision


def current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def migrate(owner_url: str, app_url: str, system_url: str) -> tuple[str | None, str]:
    """Migrates with the owner's DSN; returns the revision before and after.

    The roles `sortation_app` and `sortation_system` are made if they are missing, and the users of the other two
    DSNs become members of them, with the passwords that these have. That needs CREATEROLE; where the database's
    administrator made roles and members beforehand, nothing is changed. Raises `StartFailed` where the extension
    `vector` is missing and may not be made.
    """
    engine = create(owner_url, pool_size=1)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            if connection.execute(text("SELECT 1 FROM pg_extension WHERE extname = 'vector'")).first() is None:
                _create_extension(connection)
            _ensure_login(connection, APP_ROLE, app_url)
            _ensure_login(connection, SYSTEM_ROLE, system_url)
            connection.commit()
            before = current(connection)
            connection.commit()
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            after = current(connection)
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
    finally:
        engine.dispose()
    return before, after or ""


def _create_extension(connection: Connection) -> None:
    try:
        connection.execute(text("CREATE EXTENSION vector"))
    except ProgrammingError as error:
        raise StartFailed(
            "have a superuser run CREATE EXTENSION vector in this database, then migrate again"
        ) from error


def _ensure_login(connection: Connection, role: str, url: str) -> None:
    parsed = make_url(url)
    user = parsed.username or role
    for name in dict.fromkeys((role, user)):
        if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}).first():
            if name == user:
                _ensure_password(connection, user, parsed)
            continue
        statement = sql.SQL("CREATE ROLE {}").format(sql.Identifier(name))
        if name == user:
            statement += sql.SQL(" LOGIN PASSWORD {}").format(_verifier(connection, user, parsed))
        _run(connection, statement)
    member = connection.execute(text("SELECT pg_has_role(:user, :role, 'member')"), {"user": user, "role": role})
    if not member.scalar():
        _run(connection, sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(user)))


def _ensure_password(connection: Connection, user: str, url: URL) -> None:
    """Gives a role that its DSN does not let in the password of the DSN, as after another secret key, which passwords
    are derived from; where that is not ours to do, its administrator does."""
    if url.password is None or _lets_in(url):
        return
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), _verifier(connection, user, url))
    with suppress(ProgrammingError), connection.begin_nested():
        _run(connection, statement)


def _verifier(connection: Connection, user: str, url: URL) -> sql.Literal:
    """What the server keeps of the password: sent instead of it, since statements may be logged there."""
    if url.password is None:
        return sql.Literal(None)
    pgconn = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]
    encrypted: bytes = pgconn.encrypt_password(url.password.encode(), user.encode(), b"scram-sha-256")
    return sql.Literal(encrypted.decode())


def _lets_in(url: URL) -> bool:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        psycopg.connect(plain, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _run(connection: Connection, statement: sql.Composed) -> None:
    connection.exec_driver_sql(statement.as_string(None))
