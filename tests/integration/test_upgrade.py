"""Upgrades: a database as an earlier release wrote it is brought to this one, whole, and goes on working.

`tests/releases/0.1.0.sql.gz` is what pg_dump made of the data directory of that release's demo: it had learnt from its
history and sorted its statement; four of its questions were approved, two overridden, and two rules made; a second file
was sorted by these, and a third one's job was still queued. All but twelve of its embeddings were taken out.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from adapters.embedded import OWNER_ROLE
from adapters.embedded.postgres import DatabaseUrls
from adapters.postgres.migrate import head, migrate
from core.domain.approvals import Answer, Verdict
from core.domain.connections import ImportStatus
from core.domain.decisions import Stage
from core.domain.events import EventFilter
from core.domain.jobs import JobStatus
from core.domain.permissions import GRANTABLE
from core.domain.records import RecordStatus
from core.domain.tenants import Actor
from entrypoints.container import Container
from entrypoints.worker.inline import drain
from ports.storage import RecordFilter

DUMP = Path(__file__).parents[1] / "releases" / "0.1.0.sql.gz"
TENANT = UUID("01a20856-3fad-7478-a9e8-89c6791efd6f")
PARKING_RULE = UUID("01a20856-c307-75f7-b8d5-d52a1c41e3bf")
ACTOR = Actor(tenant_id=TENANT, name="a tester", permissions=GRANTABLE)
NOTED = {"records": 591, "rules": 218, "approvals": 88, "events": 1201, "event_batches": 22, "examples": 141}
"""Rows when the dump was made."""
HEADER = "Date;Description;Amount;Currency"

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def old(postgres: DatabaseUrls) -> Iterator[DatabaseUrls]:
    """A database as the earlier release left it."""

    def of(url: str) -> str:
        return make_url(url).set(database="old").render_as_string(hide_password=False)

    urls = DatabaseUrls(
        owner=of(postgres.owner), app=of(postgres.app), system=of(postgres.system), superuser=of(postgres.superuser)
    )
    with psycopg.connect(postgres.superuser, autocommit=True) as superuser:
        make = sql.SQL("CREATE DATABASE old TEMPLATE template0 OWNER {} STRATEGY FILE_COPY")
        superuser.execute(make.format(sql.Identifier(OWNER_ROLE)))
        try:
            with psycopg.connect(urls.superuser) as connection:
                connection.execute("CREATE EXTENSION vector")
                connection.execute(gzip.decompress(DUMP.read_bytes()))
                # This machine's clock may be behind the one that the dump was made by.
                connection.execute("UPDATE public.jobs SET due_at = least(due_at, now())")
            yield urls
        finally:
            superuser.execute("DROP DATABASE old WITH (FORCE)")


@pytest.fixture
def database(old: DatabaseUrls) -> DatabaseUrls:
    """The same, upgraded: what the containers of these tests work on."""
    assert migrate(old.owner, old.app, old.system) == ("0001", head())
    return old


def content(urls: DatabaseUrls) -> Rows:
    """All rows of all tables, by table."""
    with psycopg.connect(urls.superuser) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        ).fetchall()
        read = sql.SQL("SELECT to_jsonb(t) FROM {} AS t ORDER BY t::text")
        return {name: [row for (row,) in connection.execute(read.format(sql.Identifier(name)))] for (name,) in tables}


def all_records(container: Container) -> list[dict[str, Any]]:
    return list(container.list_records(ACTOR, RecordFilter(), after=None, limit=1_000))


def test_an_upgrade_changes_nothing_that_was_there(old: DatabaseUrls) -> None:
    before = content(old)
    assert {name: len(before[name]) for name in NOTED} == NOTED
    migrate(old.owner, old.app, old.system)
    after = content(old)
    moved = [(row["id"], row.pop("model"), row.pop("embedding")) for row in before["examples"]]
    vectors = [(row["example_id"], row["model"], row["embedding"]) for row in after["example_vectors"]]
    assert sorted(vectors) == sorted(row for row in moved if row[1] is not None)
    assert [(row["tenant_id"], row["serving"]) for row in after["vector_homes"]] == [(str(TENANT), vectors[0][1])]
    for row in before["tenants"]:
        # Numbers that nobody had chosen: now the promise decides.
        for name in ("similarity_threshold", "llm_threshold"):
            row["settings"].pop(name)
    for table, rows in before.items():
        kept = [{name: row[name] for name in rows[0]} for row in after[table]] if rows else after[table]
        assert sorted(kept, key=str) == sorted(rows, key=str), table
    assert {table: len(after[table]) for table in after.keys() - before.keys()} == {
        "category_aliases": 0,
        "connection_health": 0,
        "connection_log": 0,
        "connector_counts": 0,
        "plugin_inventories": 0,
        "local_accounts": 0,
        "identities": 0,
        "sessions": 0,
        "known_devices": 0,
        "invitations": 0,
        "oauth_states": 0,
        "oauth_tokens": 0,
        "webhook_deliveries": 0,
        "stream_cursors": 0,
        "evaluations": 0,
        "report_definitions": 0,
        "report_runs": 0,
        "promise_watches": 0,
        "rule_proposals": 0,
        "rule_runs": 0,
        "rule_run_changes": 0,
        "ensembles": 0,
        "arrivals": 0,
        "llm_answers": 0,
        "llm_usages": 0,
        "llm_reservations": 0,
        "billing_accounts": 0,
        "usage_counters": 0,
        "usage_reports": 0,
        "agreements": 0,
        "approval_skips": 0,
        "saved_views": 0,
        "payment_events": 0,
        "notification_endpoints": 0,
        "notifications": 0,
        "receipts": 0,
        "receipt_matches": 0,
        "vector_homes": 1,
        "example_vectors": len(vectors),
        "example_vectors_shared": len(vectors),
    }
    assert migrate(old.owner, old.app, old.system) == (head(), head())


def test_the_owner_is_under_row_level_security_again(database: DatabaseUrls) -> None:
    with psycopg.connect(database.owner) as owner:
        assert owner.execute("SELECT count(*) FROM records").fetchone() == (0,)


def test_examples_of_before_are_counted_by_what_they_are_like_in(database: DatabaseUrls) -> None:
    with psycopg.connect(database.superuser) as superuser:
        query = """
            SELECT count(*), count(*) FILTER (
                WHERE group_key = '' OR e.occurred_on IS NULL OR (party_key = '') <> (r.counterparty = '')
            ) FROM examples e JOIN records r ON r.id = record_id
        """
        assert superuser.execute(query).fetchone() == (NOTED["examples"], 0)


def test_what_was_stored_is_served(container: Container) -> None:
    records = all_records(container)
    assert len(records) == NOTED["records"]
    rules = container.list_rules(ACTOR)
    assert len(rules) == NOTED["rules"]
    assert {(r.confirmed, r.overridden, r.corrected, r.demoted, r.proved) for r in rules} == {(0, 0, 0, False, False)}
    assert {(r.trusted, r.evidence_from) for r in rules} == {(True, 0)}
    assert len(container.list_queue(ACTOR, after=None, limit=500)) == 82
    container.seal_events()
    events = container.list_events(ACTOR, EventFilter(), after=0, limit=2_000)
    assert [event.seq for event in events] == list(range(1, NOTED["events"] + 1))


def test_records_know_the_rule_that_decided_them(container: Container) -> None:
    records = {row["id"]: row for row in all_records(container)}
    by_rule = {id for id, row in records.items() if row["stage"] == Stage.RULES}
    assert len(by_rule) == 364
    for id in by_rule:
        first = records[id]["reasoning_trace"]["stages"][0]["candidates"][0]
        assert f"rule:{records[id]['rule_id']}" == first["source"]
    # One that a person approved since is still one that the rule had decided.
    others = {(row["stage"], row["rule_id"]) for id, row in records.items() if id not in by_rule}
    assert others == {(None, None), ("similarity", None), ("human", None), ("human", PARKING_RULE)}


def test_work_goes_on(container: Container) -> None:
    asked = {item.record.id: item for item in container.list_queue(ACTOR, after=None, limit=500)}
    drain(container, TENANT)  # the job that the earlier release had queued
    assert {i.status for i in container.list_imports(ACTOR, before=None, limit=9)} == {ImportStatus.DONE}
    rows = [f"2026-06-{day:02};HARBOUR PARKING {day};-3.00;EUR" for day in range(1, 4)]
    payload = "\n".join([HEADER, *rows, "2026-06-09;QQQQ ZZZZ 17;-1.00;EUR", ""])
    new = container.receive_import(ACTOR, [payload.encode()], filename="june.csv")
    drain(container, TENANT)
    came = container.list_records(ACTOR, RecordFilter(import_id=new.id), after=None, limit=9)
    assert [row["status"] for row in came] == ["processed"] * 3 + ["needs_review"]
    parked = [row for row in all_records(container) if "HARBOUR PARKING" in row["text"]]
    assert len(parked) == 8 + 5 + 3
    assert {row["rule_id"] for row in parked} == {PARKING_RULE}

    item = next(item for item in asked.values() if item.approval.suggested_id is not None)
    answer = Answer(approval_id=item.approval.id, verdict=Verdict.APPROVE)
    (approved,) = container.decide_approvals(ACTOR, [answer])
    assert (approved.status, approved.category_id) == (RecordStatus.APPROVED, item.approval.suggested_id)
    drain(container, TENANT)
    jobs = container.list_jobs(ACTOR, stream=None, statuses=(), after=None, limit=500)
    assert {job.status for job in jobs} == {JobStatus.DONE}
