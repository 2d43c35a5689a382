"""Keys change again and again, each time sealed anew by two processes at once, while others use connections: they sync
with keys and tokens that are renewed each time, receive webhooks, finish sign-ins that began under the former key.
Nothing fails, no token is lost, and without the former key everything opens."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from adapters.embedded.postgres import DatabaseUrls
from adapters.secrets.box import AesSecretBox
from core.domain.connections import SealedPurpose, secrets_context
from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.settings import load_settings
from tests.e2e.connection_user import sign_in
from tests.integration.api_support import Api, new_tenant
from tests.stack import COMMAND, ROOT
from tests.stubs.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer
from tests.stubs.source_server import Reply, Request, SourceServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KEYS = [f"canary-secret-key-number-{n}-of-the-installation" for n in range(4)]
SOURCE_KEY = "canary-key-of-a-source"
WEBHOOK_SECRET = f"whsec_{base64.b64encode(b'canary-webhook-secret-01').decode()}"
IDLE = 120
"""Connections that nobody uses: for several batches of the rotation."""
SEALED = """
SELECT 'config', id, sealed FROM connections WHERE sealed IS NOT NULL
UNION ALL SELECT 'oauth', connection_id, sealed FROM oauth_tokens
UNION ALL SELECT 'oauth-sign-in', connection_id, sealed FROM oauth_states
"""
STREAM = {
    "name": "entries",
    "path": "/entries",
    "records": "$.data",
    "pagination": {"type": "none"},
    "fields": {"external_id": "$.id", "text": "$.text", "occurred_at": "$.at"},
}


@pytest.fixture
def provider() -> Iterator[OAuthServer]:
    with OAuthServer(expires_in=30) as provider:  # less than what a token must be good for: each use renews it
        yield provider


@pytest.fixture
def source(provider: OAuthServer) -> Iterator[SourceServer]:
    def answer(request: Request) -> Reply:
        known = request.headers.get("x-api-key") == SOURCE_KEY
        if not known and provider.valid(request.headers.get("authorization", "")) is None:
            return Reply(status=401)
        return Reply(body={"data": [{"id": "1", "text": "an entry", "at": "2026-03-01"}]})

    with SourceServer(answer) as source:
        yield source


def environment(database: DatabaseUrls, present: str, former: Sequence[str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SORTATION_")}
    return {
        **inherited,
        "SORTATION_SECRET_KEY": present,
        "SORTATION_FORMER_SECRET_KEYS": ",".join(former),
        "SORTATION_APP_DATABASE_URL": database.app,
        "SORTATION_SYSTEM_DATABASE_URL": database.system,
        "SORTATION_BROKER_URL": "redis://127.0.0.1:1/0",
        "SORTATION_EMBEDDINGS": "off",
        "SORTATION_HTTP_ALLOW": "127.0.0.1",
        "SORTATION_RATE_LIMIT": "1000000/minute",
        "SORTATION_COSTLY_LIMIT": "1000000/minute",
        "PYTHONUNBUFFERED": "1",
    }


@dataclass
class User:
    """A running `tests.e2e.connection_user`."""

    process: subprocess.Popen[str]
    log: Path
    rounds: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "ok\n":
                self.rounds.release()

    def has_done(self, rounds: int) -> None:
        """Waits until it ended as many rounds from now on."""
        while self.rounds.acquire(blocking=False):
            pass
        for _ in range(rounds):
            while not self.rounds.acquire(timeout=1):
                assert self.process.poll() is None, self.log.read_text()[-4_000:]

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(300) == 0, self.log.read_text()[-4_000:]


def start_user(stack: ExitStack, folder: Path, spec: dict[str, Any], name: str, env: dict[str, str]) -> User:
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "tests.e2e.connection_user", json.dumps({**spec, "name": name})]
    with log.open("w") as err:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err
        )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return User(process, log)


def rotate_twice_at_once(env: dict[str, str]) -> int:
    """How many values both of them sealed anew."""
    both = [
        subprocess.Popen([*COMMAND, "secrets", "rotate"], cwd=ROOT, env=env, text=True, stdout=-1, stderr=-1)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    return sum(int(out.split()[0]) for out, _ in told)


def set_up(database: DatabaseUrls, source: SourceServer, provider: OAuthServer) -> tuple[Api, dict[str, Any]]:
    container = Container(settings=load_settings(environment(database, KEYS[0], ())))
    api = new_tenant(container, create_app(container).test_client())

    def connect(connector: str, name: str, **config: Any) -> str:
        body = {"connector": connector, "name": name, "config": config}
        return str(api.post("/connections", body, 201)["id"])

    reading = {"base_url": source.url, "streams": [STREAM]}
    by_key = connect("rest-key", "by key", **reading, api_key=SOURCE_KEY, key_header="X-Api-Key", key_prefix="")
    urls = {"authorize_url": f"{provider.url}/authorize", "token_url": f"{provider.url}/token"}
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": ""}
    by_token = [connect("rest-oauth2", f"by token {n}", **reading, **urls, **client) for n in range(2)]
    for connection in by_token:
        begun = sign_in(api.post(f"/connections/{connection}/oauth/start")["url"])
        assert api.client.get("/api/v1/oauth/callback", query_string=begun).status_code == 200
    webhook = connect("webhook", "hook", webhook_secret=WEBHOOK_SECRET)
    for n in range(IDLE):
        connect("webhook", f"idle {n}", webhook_secret=WEBHOOK_SECRET)
    spec = {
        "tenant_id": str(api.tenant_id),
        "key": api.key,
        "pulled": [by_key, *by_token],
        "signed_in": by_token[0],
        "webhook": webhook,
        "webhook_secret": WEBHOOK_SECRET,
    }
    return api, spec


def sealed(database: DatabaseUrls) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.superuser) as connection:
        return connection.execute(SEALED).fetchall()


def test_keys_change_while_connections_are_used(
    tmp_path: Path, database: DatabaseUrls, source: SourceServer, provider: OAuthServer
) -> None:
    api, spec = set_up(database, source, provider)
    with ExitStack() as stack:
        user = start_user(stack, tmp_path, spec, "user-0", environment(database, KEYS[0], KEYS[1:2]))
        user.has_done(1)
        for n in range(1, len(KEYS)):
            # Who still runs knows the next key already; who starts knows the former, and seals with the next.
            env = environment(database, KEYS[n], (KEYS[n - 1], *KEYS[n + 1 : n + 2]))
            successor = start_user(stack, tmp_path, spec, f"user-{n}", env)
            successor.has_done(1)
            user.has_done(1)
            user.stop()
            user = successor
            renewed = len(provider.tokens)
            assert rotate_twice_at_once(env) >= IDLE + 2
            assert len(provider.tokens) > renewed, "tokens were renewed meanwhile"
            present = AesSecretBox(KEYS[n])
            assert [row for row in sealed(database) if not bytes(row[2]).startswith(present.prefix)] == []
        user.has_done(1)
        user.stop()
        alone = environment(database, KEYS[-1], ())
        assert rotate_twice_at_once(alone) == 0
        user = start_user(stack, tmp_path, spec, "alone", alone)
        user.has_done(2)
        user.stop()
    box = AesSecretBox(KEYS[-1])
    for purpose, connection, value in sealed(database):
        bound_to = secrets_context(api.tenant_id, connection, SealedPurpose(purpose))
        assert box.open(bytes(value), bound_to)
    assert provider.reused == 0
    told = [event["payload"] for event in api.get("/events?type=SECRETS_ROTATED&limit=500")["items"]]
    by_key = {key: sum(one["values"] for one in told if one["key"] == key) for key in {one["key"] for one in told}}
    assert by_key.keys() == {AesSecretBox(key).key_name for key in KEYS[1:]}
    assert all(values >= IDLE for values in by_key.values())
