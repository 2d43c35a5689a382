"""Erasing and giving out at the operator's command line, over real storage."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from adapters.postgres.tables import TENANT_TABLES
from core.errors import Conflict, Invalid, NotFound
from entrypoints.api.app import create_app
from entrypoints.cli.operating import at_command_line
from entrypoints.cli.tenants import as_lines, write_zip
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser

OPERATOR = at_command_line("a test")


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN)
    api = new_tenant(container, create_app(container).test_client(), "Harbour Books")
    api.upload()
    return api


def test_a_tenant_is_given_out_as_lines_without_its_secrets(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "harbour.zip"
    count = write_zip(file, api.container.export_tenant(api.tenant_id, OPERATOR))
    with zipfile.ZipFile(file) as archive:
        found = {name: archive.read(name).decode().splitlines() for name in archive.namelist()}
    assert sum(map(len, found.values())) == count
    assert json.loads(found["tenants.jsonl"][0])["name"] == "Harbour Books"
    assert len(found["records.jsonl"]) == 2
    assert len(found["approvals.jsonl"]) >= 1
    assert "events.jsonl" in found
    assert "secret_hash" not in str(found)
    with pytest.raises(Invalid, match="exists already"):
        write_zip(file, api.container.export_tenant(api.tenant_id, OPERATOR))
    with pytest.raises(NotFound):
        api.container.export_tenant(api.container.ids().new(), OPERATOR)


def test_an_erased_tenant_is_gone_from_every_table(api: Api, superuser: psycopg.Connection[Any]) -> None:
    other = new_tenant(api.container, api.client, "Quay Books")
    other.upload()
    with pytest.raises(Conflict, match="not the tenant's name"):
        api.container.erase_tenant(api.tenant_id, "Quay Books")
    api.container.erase_tenant(api.tenant_id, "Harbour Books")
    for table in TENANT_TABLES:
        left = superuser.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = %s", [api.tenant_id]).fetchone()  # type: ignore[arg-type]  # noqa: S608
        assert left == (0,), table
    assert api.call("GET", "/me").status_code == 401
    assert len(other.get("/records")["items"]) == 2
    with pytest.raises(NotFound):
        api.container.erase_tenant(api.tenant_id, "Harbour Books")


def test_an_erased_person_is_signed_out_and_known_nowhere(api: Api, superuser: psycopg.Connection[Any]) -> None:
    made = api.post("/invitations", {"email": "ada@example.org", "role": "admin"}, 201)
    browser = Browser(api.client.application)
    browser.send(made["url"].removeprefix(ORIGIN), {"name": "Ada Lovelace", "password": PASSWORD})
    user_id = next(m["user_id"] for m in api.get("/members")["items"] if m["email"] == "ada@example.org")
    told = list(as_lines(api.container.export_person("Ada@Example.org", OPERATOR)))
    assert {json.loads(line)["kind"] for line in told} == {"users", "memberships", "sessions", "event_batches"}
    api.container.erase_person("ada@example.org", OPERATOR)
    assert browser.open("/account").status_code == 303
    dump = [
        str(superuser.execute(f"SELECT to_jsonb(t) FROM {table} t").fetchall())  # type: ignore[arg-type]  # noqa: S608
        for table in (*TENANT_TABLES, "users", "local_accounts", "identities", "sessions")
    ]
    for word in ("ada@example.org", "Ada Lovelace"):
        assert not any(word in rows for rows in dump), word
    assert any(user_id in rows for rows in dump), "what they did stays, as somebody's"
    api.container.seal_events()
    assert api.container.verify_events(api.tenant_id).fault is None
    with pytest.raises(NotFound):
        api.container.erase_person("ada@example.org", OPERATOR)


def test_the_only_owner_of_a_tenant_is_not_erased_from_under_it(api: Api) -> None:
    with pytest.raises(Conflict, match="only owner of Harbour Books"):
        api.container.erase_person(OWNER, OPERATOR)
