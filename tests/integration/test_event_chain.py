"""The chain of digests over the log: whoever changes it in the database is found out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from adapters.embedded.postgres import DatabaseUrls
from core.domain.events import EventType, NewEvent, Verification
from core.domain.tenants import Actor
from tests.contract.storage import Storage


@pytest.fixture
def actor(storage: Storage) -> Actor:
    """Of a tenant with twelve sealed events, in six batches of two."""
    actor = replace(storage.tenant(), address="192.0.2.7", user_agent="A | browser")
    for n in range(6):
        told = [
            NewEvent(type=EventType.KEY_CREATED, subject_id=UUID(int=n), payload={"n": n, "of": side}) for side in "ab"
        ]
        with storage.writing(actor) as tx:
            tx.events.append(told)
    storage.system.seal()
    return actor


def verified(storage: Storage, actor: Actor) -> Verification:
    return storage.system.verify_events(actor.tenant_id)


def test_an_untouched_log_holds_whatever_the_sessions_settings(
    storage: Storage, actor: Actor, superuser: psycopg.Connection[Any]
) -> None:
    found = verified(storage, actor)
    assert (found.events, found.fault, len(found.digest)) == (12, None, 64)
    superuser.execute("ALTER ROLE sortation_system SET timezone = 'Asia/Tokyo'")
    superuser.execute("ALTER ROLE sortation_system SET datestyle = 'German'")
    try:
        assert verified(storage, actor) == found
    finally:
        superuser.execute("ALTER ROLE sortation_system RESET ALL")


TAMPERING: dict[str, tuple[str, str]] = {
    "a payload": ("UPDATE events SET payload = '{\"n\": 7}' WHERE {event} = 3", "event 7: changed or removed"),
    "a type": ("UPDATE events SET type = 'DELETED' WHERE {event} = 3", "event 7: changed or removed"),
    "a subject": ("UPDATE events SET subject_id = NULL WHERE {event} = 3", "event 7: changed or removed"),
    "removed": ("DELETE FROM events WHERE {event} = 3", "event 7: changed or removed"),
    "inserted": (
        "INSERT INTO events (tenant_id, batch_id, ordinal, type, payload)"
        " SELECT tenant_id, id, 3, 'DELETED', '{}' FROM event_batches WHERE last_seq = 8",
        "event 9: changed or removed",
    ),
    "who acted": ("UPDATE event_batches SET actor = 'somebody else' WHERE last_seq = 8", "events 7 to 8: who acted"),
    "when": (
        "UPDATE event_batches SET created_at = created_at - interval '1 day' WHERE last_seq = 8",
        "events 7 to 8: who acted",
    ),
    "from where": ("UPDATE event_batches SET address = '203.0.113.1' WHERE last_seq = 8", "events 7 to 8: who acted"),
    "a batch removed": (
        "WITH gone AS (DELETE FROM event_batches WHERE last_seq = 8 RETURNING id)"
        " DELETE FROM events WHERE batch_id IN (SELECT id FROM gone)",
        "events 9 to 10: the events from 7 on are missing",
    ),
    "two batches exchanged": (
        "UPDATE event_batches SET last_seq = CASE last_seq WHEN 8 THEN 110 ELSE 108 END WHERE last_seq IN (8, 10);"
        "UPDATE event_batches SET last_seq = last_seq - 100 WHERE last_seq > 100",
        "events 7 to 8: the digest does not follow",
    ),
    "a digest": (
        "UPDATE event_batches SET digest = sha256('x') WHERE last_seq = 8",
        "events 7 to 8: the digest does not",
    ),
    "what the digest is made of": (
        "UPDATE event_batches SET head = sha256('x') WHERE last_seq = 8",
        "events 7 to 8: the digest does not",
    ),
    "erased without being so": (
        "UPDATE event_batches SET erased = true, head = sha256('x') WHERE last_seq = 8",
        "events 7 to 8: the digest does not",
    ),
    "how many they are": (
        "UPDATE event_batches SET size = size + CASE last_seq WHEN 8 THEN 1 ELSE 0 END, last_seq = last_seq + 1"
        " WHERE last_seq > 6",
        "events 7 to 9: who acted",
    ),
    "erased, and another acted": (
        "UPDATE event_batches SET erased = true, actor = 'Bob', address = NULL, user_agent = NULL WHERE last_seq = 8",
        "events 7 to 8: who acted",
    ),
    "erased, and another by id": (
        "UPDATE event_batches SET erased = true, actor = 'somebody', actor_id = gen_random_uuid(), address = NULL,"
        " user_agent = NULL WHERE last_seq = 8",
        "events 7 to 8: who acted",
    ),
    "erased, and from elsewhere": (
        "UPDATE event_batches SET erased = true, actor = 'somebody', address = '6.6.6.6' WHERE last_seq = 8",
        "events 7 to 8: who acted",
    ),
    "erased, and from where it was not": (
        "UPDATE event_batches SET erased = true WHERE last_seq = 8",
        "events 7 to 8: who acted",
    ),
    "erased, and at another time": (
        "UPDATE event_batches SET erased = true, actor = 'somebody', address = NULL, user_agent = NULL,"
        " created_at = created_at - interval '300 days' WHERE last_seq = 8",
        "events 7 to 8: who acted",
    ),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_at_its_place(
    storage: Storage, actor: Actor, superuser: psycopg.Connection[Any], what: str
) -> None:
    statement, fault = TAMPERING[what]
    event = "(SELECT last_seq / 2 - 1 FROM event_batches b WHERE b.id = batch_id) = 3 AND ordinal = 1 AND 3"
    superuser.autocommit = True
    superuser.execute("SET session_replication_role = replica")
    superuser.execute(sql.SQL(statement.replace("{event}", event)))  # type: ignore[arg-type]
    found = verified(storage, actor)
    assert found.events == 6
    assert (found.fault or "").startswith(fault)


def test_an_erased_person_leaves_the_chain_whole(
    storage: Storage, actor: Actor, superuser: psycopg.Connection[Any]
) -> None:
    before = verified(storage, actor)
    superuser.execute(
        "UPDATE event_batches SET actor = 'erased person', address = NULL, user_agent = NULL, salt = NULL,"
        " erased = true"
    )
    assert verified(storage, actor) == before


def test_what_was_erased_is_not_found_by_guessing(
    storage: Storage, actor: Actor, superuser: psycopg.Connection[Any]
) -> None:
    """Two batches of the same person from the same place have no digest of these in common."""
    heads = [bytes(row[0]) for row in superuser.execute("SELECT head FROM event_batches").fetchall()]
    assert {len(head) for head in heads} == {96}
    for part in (slice(32, 64), slice(64, 96)):
        assert len({head[part] for head in heads}) == 6
    assert superuser.execute("SELECT DISTINCT length(salt) FROM event_batches").fetchall() == [(32,)]


@pytest.mark.parametrize("role", ["app", "system"])
def test_who_serves_does_not_change_what_was_told(
    storage: Storage, actor: Actor, database: DatabaseUrls, role: str
) -> None:
    forged = [sql.SQL("UPDATE event_batches SET {0} = {0}"), sql.SQL(ANOTHER_BATCH)]
    fields = ("actor", "created_at", "erased", "salt"), ("last_seq", "digest", "head", "contents", "erased", "salt")
    with psycopg.connect(getattr(database, role)) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", [str(actor.tenant_id)])
        connection.commit()
        for statement, names in zip(forged, fields, strict=True):
            for name in names:
                with pytest.raises(InsufficientPrivilege):
                    connection.execute(statement.format(sql.Identifier(name)))
                connection.rollback()


ANOTHER_BATCH = """
    INSERT INTO event_batches (tenant_id, id, size, actor, source_agent, created_at, {0})
    SELECT tenant_id, gen_random_uuid(), 1, 'Bob', 'b', now(), {0} FROM event_batches LIMIT 1
"""


def test_heads_that_were_one_digest_are_verified_too(
    storage: Storage, actor: Actor, superuser: psycopg.Connection[Any]
) -> None:
    digest = b""
    for last_seq in range(2, 13, 2):
        row = superuser.execute(WHOLE, [last_seq]).fetchone()
        assert row is not None
        digest = hashlib.sha256(digest + bytes(row[0]) + bytes(row[1])).digest()
        superuser.execute(
            "UPDATE event_batches SET digest = %s, head = %s, salt = NULL WHERE last_seq = %s",
            [digest, row[0], last_seq],
        )
    with storage.writing(actor) as tx:
        tx.events.append([NewEvent(type=EventType.DELETED)])
    storage.system.seal()
    assert (verified(storage, actor).events, verified(storage, actor).fault) == (13, None)
    erased = "UPDATE event_batches SET erased = true, actor = %s, address = NULL, user_agent = NULL WHERE last_seq = 8"
    superuser.execute(erased, ["key Console"])
    assert (verified(storage, actor).events, verified(storage, actor).fault) == (13, None)
    superuser.execute(erased, ["Bob"])
    assert (verified(storage, actor).fault or "").startswith("events 7 to 8: who acted")


WHOLE = """
    SELECT sha256(convert_to(jsonb_build_array(
        b.id, extract(epoch FROM b.created_at), b.size, b.actor, b.actor_id, b.source_agent, b.request_id, b.address,
        b.user_agent)::text, 'UTF8')), b.contents FROM event_batches b WHERE b.last_seq = %s
"""


def test_a_log_that_was_made_anew_is_told_by_its_last_digest(
    storage: Storage, actor: Actor, superuser: psycopg.Connection[Any]
) -> None:
    noted = verified(storage, actor).digest
    superuser.execute("UPDATE events SET payload = '{}'")
    superuser.execute("UPDATE event_batches SET last_seq = NULL, digest = NULL, head = NULL, contents = NULL")
    storage.system.seal()
    found = verified(storage, actor)
    assert (found.events, found.fault) == (12, None)
    assert found.digest != noted


def test_what_an_earlier_release_sealed_is_verified_too(
    storage: Storage, actor: Actor, superuser: psycopg.Connection[Any]
) -> None:
    digest = b""
    for last_seq in range(2, 13, 2):
        row = superuser.execute(FORMERLY, [last_seq]).fetchone()
        assert row is not None
        digest = hashlib.sha256(digest + bytes(row[0])).digest()
        superuser.execute("UPDATE event_batches SET digest = %s, head = NULL WHERE last_seq = %s", [digest, last_seq])
    with storage.writing(actor) as tx:
        tx.events.append([NewEvent(type=EventType.DELETED)])
    storage.system.seal()
    assert (verified(storage, actor).events, verified(storage, actor).fault) == (13, None)
    superuser.execute("UPDATE events SET payload = '{}' WHERE ordinal = 2")
    assert (verified(storage, actor).fault or "").startswith("events 1 to 2: changed since")


FORMERLY = """
    SELECT convert_to(concat_ws('|', b.id, b.created_at, b.actor, b.source_agent, b.request_id), 'UTF8') || string_agg(
        sha256(convert_to(concat_ws('|', e.ordinal, e.type, e.subject_id, e.payload), 'UTF8')), '' ORDER BY e.ordinal)
    FROM event_batches b JOIN events e ON e.tenant_id = b.tenant_id AND e.batch_id = b.id
    WHERE b.last_seq = %s GROUP BY b.tenant_id, b.id
"""


def test_sealing_while_others_write_makes_one_chain(storage: Storage, actor: Actor, meanwhile: Any) -> None:
    def write() -> None:
        for _ in range(20):
            with storage.writing(actor) as tx:
                tx.events.append([NewEvent(type=EventType.DELETED)])

    writing = meanwhile.submit(write)
    while not writing.done():
        storage.system.seal()
    writing.result()
    storage.system.seal()
    assert (verified(storage, actor).events, verified(storage, actor).fault) == (32, None)
