"""Brings a database to the schema of this release: extension, roles, migrations."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
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
    DSNs become members of them. That needs CREATEROLE; where the database's administrator made roles and members
    beforehand, nothing is changed. Raises `StartFailed` where the extension `vector` is missing and may not be made.
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
            continue
        statement = sql.SQL("CREATE ROLE {}").format(sql.Identifier(name))
        if name == user:
            statement += sql.SQL(" LOGIN PASSWORD {}").format(sql.Literal(parsed.password))
        _run(connection, statement)
    member = connection.execute(text("SELECT pg_has_role(:user, :role, 'member')"), {"user": user, "role": role})
    if not member.scalar():
        _run(connection, sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(user)))


def _run(connection: Connection, statement: sql.Composed) -> None:
    connection.exec_driver_sql(statement.as_string(None))
