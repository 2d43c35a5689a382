"""Erasing and giving out at the operator's command line, over real storage."""

from __future__ import annotations

import base64
import json
import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from adapters.postgres.tables import GLOBAL_TABLES, TENANT_TABLES
from core.domain.approvals import Answer, Verdict
from core.domain.permissions import GRANTABLE, ROLE_PERMISSIONS, Role
from core.domain.proposals import ProposalStatus
from core.domain.receipts import MatchState
from core.domain.tenants import Actor
from core.errors import Conflict, Invalid, NotFound
from entrypoints.api.app import create_app
from entrypoints.cli.operating import at_command_line
from entrypoints.cli.tenants import as_lines, write_zip
from entrypoints.container import Container
from ports.storage import RecordFilter
from tests.contract.belongings import belongings
from tests.contract.notification_support import a_mail_endpoint
from tests.contract.storage import (
    Storage,
    a_message,
    a_proposal,
    a_receipt,
    a_report,
    a_report_definition,
    a_sign_in,
    an_evaluation,
)
from tests.integration.api_support import HEADER, Api, add_rule, new_tenant
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser

OPERATOR = at_command_line("a test")
NAME = 'Ada "the Countess" Lovelace-Ünal'
KNOWN_OF_A_PERSON = {
    "approvals",
    "connection_health",
    "evaluations",
    "event_batches",
    "invitations",
    "known_devices",
    "local_accounts",
    "memberships",
    "notification_endpoints",
    "oauth_states",
    "receipt_matches",
    "receipts",
    "records",
    "report_definitions",
    "report_runs",
    "rule_proposals",
    "rule_runs",
    "saved_views",
    "sessions",
    "users",
}
NOT_GIVEN_OUT = {
    "embeddings": "made of texts that are given out",
    "example_vectors": "the same",
    "example_vectors_shared": "the same",
    "ensembles": "learned from records and answers that are given out",
    "idempotency_keys": "how requests were answered, for two days",
    "jobs": "work, not what it is about",
}


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


def test_only_its_writer_may_read_an_export_and_none_is_left_that_broke_off(tmp_path: Path) -> None:
    whole = [("records", {"n": 1}), ("records", {"n": 2}), ("rules", {"n": 3})]

    def broken() -> Iterator[tuple[str, Mapping[str, Any]]]:
        yield from whole
        raise KeyboardInterrupt

    file, elsewhere = tmp_path / "all.zip", tmp_path / "elsewhere"
    with pytest.raises(KeyboardInterrupt):
        write_zip(file, broken())
    assert not file.exists()
    file.symlink_to(elsewhere)
    with pytest.raises(Invalid, match="exists already"):
        write_zip(file, iter(whole))
    assert not elsewhere.exists(), "what somebody put there is not followed"
    file.unlink()
    former = os.umask(0)
    try:
        assert write_zip(file, iter(whole)) == 3
    finally:
        os.umask(former)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as archive:
        assert archive.read("records.jsonl") == b'{"n":1}\n{"n":2}\n'


def test_an_erased_tenant_is_gone_from_every_table(api: Api, superuser: psycopg.Connection[Any]) -> None:
    other = new_tenant(api.container, api.client, "Quay Books")
    other.upload()
    files = api.container.files()
    for one in (api.tenant_id, other.tenant_id):
        files.write(f"{one}/receipts/a", [b"of a tenant"])
    with pytest.raises(Conflict, match="not the tenant's name"):
        api.container.erase_tenant(api.tenant_id, "Quay Books")
    api.container.erase_tenant(api.tenant_id, "Harbour Books")
    for table in TENANT_TABLES:
        left = superuser.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = %s", [api.tenant_id]).fetchone()  # type: ignore[arg-type]  # noqa: S608
        assert left == (0,), table
    with pytest.raises(NotFound):
        files.read(f"{api.tenant_id}/receipts/a")
    assert list(files.read(f"{other.tenant_id}/receipts/a")) == [b"of a tenant"]
    assert api.call("GET", "/me").status_code == 401
    assert len(other.get("/records")["items"]) == 2
    with pytest.raises(NotFound):
        api.container.erase_tenant(api.tenant_id, "Harbour Books")


def written_to(api: Api, user_id: UUID) -> None:
    """An endpoint at which the person is told of failures."""
    with api.container.uow().begin(api.actor) as tx:
        tx.endpoints.add(a_mail_endpoint(api.container.ids().new(), api.actor, user_id))
        tx.commit()


def test_an_erased_person_is_signed_out_and_known_nowhere(api: Api, superuser: psycopg.Connection[Any]) -> None:
    made = api.post("/invitations", {"email": "ada@example.org", "role": "admin"}, 201)
    browser = Browser(api.client.application)
    browser.send(made["url"].removeprefix(ORIGIN), {"name": NAME, "password": PASSWORD})
    user_id = next(m["user_id"] for m in api.get("/members")["items"] if m["email"] == "ada@example.org")
    do_one_of_everything(
        api, Actor(tenant_id=api.tenant_id, name=NAME, user_id=UUID(user_id), permissions=ROLE_PERMISSIONS[Role.ADMIN])
    )
    written_to(api, UUID(user_id))
    lines = [json.loads(line) for line in as_lines(api.container.export_person("Ada@Example.org", OPERATOR))]
    assert {line["kind"] for line in lines} == KNOWN_OF_A_PERSON
    (account,) = [line for line in lines if line["kind"] == "local_accounts"]
    assert set(account) == {"kind", "user_id", "failures", "locked_until", "changed_at"}, "no secret, in whatever form"
    assert not any("\\x" in str(line) for line in lines), "bytes are secrets or digests"
    named = {table for table, rows in dumped(superuser).items() if "Countess" in rows}
    assert named >= {"records", "rule_run_changes", "connection_health", "approvals"}
    api.container.erase_person("ada@example.org", OPERATOR)
    with api.container.uow().begin(api.actor) as tx:
        assert tx.endpoints.list() == [], "who was erased is written to nowhere"
    assert browser.open("/account").status_code == 303
    dump = dumped(superuser)
    for word in ("ada@example.org", "Countess", "Lovelace"):
        assert [table for table, rows in dump.items() if word in rows] == [], word
    assert any(user_id in rows for rows in dump.values()), "what they did stays, as somebody's"
    settled = next(r for r in api.get("/records")["items"] if r["status"] == "overridden")
    reason = api.get(f"/records/{settled['id']}")["reasoning_trace"]["reason"]
    assert reason.startswith("human: override by erased person at ")
    api.container.seal_events()
    assert api.container.verify_events(api.tenant_id).fault is None
    with pytest.raises(NotFound):
        api.container.erase_person("ada@example.org", OPERATOR)


def test_of_two_who_have_one_name_the_right_one_is_given_out_and_erased(
    api: Api, superuser: psycopg.Connection[Any]
) -> None:
    ids: dict[str, UUID] = {}
    for email in ("alice@example.org", "mallory@example.org"):
        made = api.post("/invitations", {"email": email, "role": "admin"}, 201)
        Browser(api.client.application).send(
            made["url"].removeprefix(ORIGIN), {"name": "Alice Smith", "password": PASSWORD}
        )
        ids[email] = next(UUID(m["user_id"]) for m in api.get("/members")["items"] if m["email"] == email)
    category, services = UUID(api.category("food.groceries")), api.container
    lines = (f"2026-03-0{n};Zyxw {name} unheard of;-3.50;EUR\n" for n, name in ((3, "uvw"), (4, "qrst")))
    api.upload(HEADER + "".join(lines))
    records = {}
    for (email, id), row in zip(ids.items(), api.get("/records?text=Zyxw")["items"], strict=True):
        actor = Actor(tenant_id=api.tenant_id, name="Alice Smith", user_id=id, permissions=GRANTABLE)
        services.change_record(actor, UUID(row["id"]), version=None, category_id=category, tags=None, attributes=None)
        services.start_run(actor, rule_ids=None, where=RecordFilter())
        records[email] = row["id"]
    given = [row for kind, row in services.export_person("mallory@example.org", OPERATOR) if kind == "records"]
    assert [str(row["id"]) for row in given] == [records["mallory@example.org"]]
    services.erase_person("mallory@example.org", OPERATOR)
    reasons = {email: api.get(f"/records/{id}")["reasoning_trace"]["reason"] for email, id in records.items()}
    assert " by Alice Smith at " in reasons["alice@example.org"]
    assert " by erased person at " in reasons["mallory@example.org"]
    asked = superuser.execute("SELECT requested_by, requested_by_id FROM rule_runs ORDER BY 1").fetchall()
    assert asked == [("Alice Smith", ids["alice@example.org"]), ("erased person", ids["mallory@example.org"])]
    decided = superuser.execute("SELECT decided_by FROM approvals WHERE verdict IS NOT NULL ORDER BY 1").fetchall()
    assert decided == [("Alice Smith",), ("erased person",)]


def test_a_name_that_another_has_tells_nobody_where_no_id_stands(api: Api, superuser: psycopg.Connection[Any]) -> None:
    for email in ("alice@example.org", "mallory@example.org"):
        made = api.post("/invitations", {"email": email, "role": "admin"}, 201)
        Browser(api.client.application).send(
            made["url"].removeprefix(ORIGIN), {"name": "Alice Smith", "password": PASSWORD}
        )
    services = api.container
    services.start_run(replace(api.actor, name="Alice Smith"), rule_ids=None, where=RecordFilter())
    services.erase_person("mallory@example.org", OPERATOR)
    assert superuser.execute("SELECT requested_by FROM rule_runs").fetchall() == [("Alice Smith",)]
    services.erase_person("alice@example.org", OPERATOR)
    assert superuser.execute("SELECT requested_by FROM rule_runs").fetchall() == [("erased person",)]


def do_one_of_everything(api: Api, ada: Actor) -> None:
    """Whatever notes the name of who did it."""
    services, category = api.container, UUID(api.category("food.groceries"))
    api.upload(HEADER + "2026-03-03;Zyxw unheard of;-3.50;EUR\n")
    for item in services.list_queue(ada, after=None, limit=9):
        answer = Answer(approval_id=item.approval.id, verdict=Verdict.OVERRIDE, category_id=category)
        services.decide_approvals(ada, [answer])
        if "Zyxw" in item.record.text:
            services.withdraw_record(ada, item.record.id, version=None)
    add_rule(api, str(category), "Zyxw")
    services.start_run(ada, rule_ids=None, where=RecordFilter())
    api.drain()
    services.invite(ada, "ben@example.org", Role.VIEWER)
    services.create_view(ada, "Large", {"min_amount": "500"}, shared=False)
    connection = services.list_connections(ada)[0]
    services.disable_connection(ada, connection.id)
    services.resume_connection(ada, connection.id)
    with services.uow().begin(ada) as tx:
        tx.evaluations.add(an_evaluation(services.ids().new(), ada, requested_by=ada.name))
        tx.reports.add_definition(a_report_definition(services.ids().new(), ada, created_by=ada.name))
        tx.reports.add(a_report(services.ids().new(), ada, requested_by=ada.name))
        tx.oauth.begin(a_sign_in(ada, connection.id, started_by=ada.name))
        receipt = tx.receipts.add(a_receipt(services.ids().new(), ada, uploaded_by=ada.name))
        record_id = tx.records.page(RecordFilter(), after=None, limit=1)[0]["id"]
        tx.receipts.decide(receipt.id, record_id, MatchState.LINKED, by=ada.name, at=services.clock().now())
        proposal = a_proposal(services.ids().new(), ada, category)
        tx.proposals.replace_open([proposal])
        tx.proposals.decide(replace(proposal, status=ProposalStatus.REJECTED, decided_by=ada.name))
        tx.commit()


def dumped(superuser: psycopg.Connection[Any]) -> dict[str, str]:
    """Every table as text."""
    tables = (*TENANT_TABLES, *GLOBAL_TABLES)
    rows = {t: superuser.execute(f"SELECT to_jsonb(t)::text FROM {t} t").fetchall() for t in tables}  # type: ignore[arg-type]  # noqa: S608
    return {table: "\n".join(row[0] for row in of_table) for table, of_table in rows.items()}


def test_the_export_and_the_erasure_of_a_tenant_are_whole(storage: Storage, superuser: psycopg.Connection[Any]) -> None:
    mine, theirs = belongings(storage, key_id="k1"), belongings(storage, key_id="k2")
    tenant_id, other_id = mine.actor.tenant_id, theirs.actor.tenant_id
    with_tenant = superuser.execute(
        "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
    )
    assert {row[0] for row in with_tenant} == {*TENANT_TABLES, "sessions", "payment_events"}
    given = list(storage.privacy.tenant_rows(tenant_id))
    assert {kind for kind, _ in given} == {*TENANT_TABLES, "users"} - NOT_GIVEN_OUT.keys()
    assert str(other_id) not in str(given)
    chunk = next(row for kind, row in given if kind == "import_chunks")
    assert base64.b64decode(chunk["data"]) == b"payload"
    message = next(row for kind, row in given if kind == "webhook_deliveries")
    assert base64.b64decode(message["body"]) == a_message().body
    for kind, row in given:
        assert not any(isinstance(value, bytes | memoryview) for value in row.values()), kind
        assert not {"sealed", "secret_hash", "password_hash", "state_hash"} & row.keys(), kind

    def left(of: UUID) -> dict[str, int]:
        counts = {}
        for table in (*TENANT_TABLES, "payment_events"):
            query = f"SELECT count(*) FROM {table} WHERE tenant_id = %s"  # noqa: S608 - of our tables
            (counts[table],) = superuser.execute(query, [of]).fetchone() or (0,)  # type: ignore[arg-type]
        return counts

    before = left(other_id)
    assert all(left(tenant_id).values()), "there was one of everything, sealed secrets and learned arrays too"
    storage.privacy.erase_tenant(tenant_id)
    assert not any(left(tenant_id).values())
    assert left(other_id) == before


def test_the_only_owner_of_a_tenant_is_not_erased_from_under_it(api: Api) -> None:
    with pytest.raises(Conflict, match="only owner of Harbour Books"):
        api.container.erase_person(OWNER, OPERATOR)
