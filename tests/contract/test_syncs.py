"""What syncs leave of a connection, and how connections fall due."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.domain.connections import Connection, ImportStatus, StreamCursor, Totals
from core.domain.health import MAX_HISTORY, MAX_LINES, Health
from core.domain.jobs import JobStatus, Stream
from core.domain.tenants import Actor
from core.errors import Conflict, NotFound, VersionMismatch
from tests.contract.storage import (
    START,
    Storage,
    a_connection,
    a_delivery,
    a_health_entry,
    a_log_line,
    a_message,
    an_import,
)

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def a_cursor(stream: str = "charges", after: int = 1, version: int = 1) -> StreamCursor:
    return StreamCursor(stream=stream, cursor={"after": after, "tie": ["é", None]}, state_version=version)


def due(storage: Storage, actor: Actor, name: str = "Statements", **fields: object) -> Connection:
    id = storage.connection(actor, name, **{"next_sync_at": LONG_AGO, "schedule_seconds": 60, **fields})
    with storage.reading(actor) as tx:
        return tx.connections.get(id)


def queue(storage: Storage, most: int = 10) -> int:
    return storage.system.queue_syncs(storage.ids.batch(2 * most), max_attempts=3)


def test_what_a_connection_is_set_to_comes_back(storage: Storage) -> None:
    actor = storage.tenant()
    connection = a_connection(
        storage.ids.new(),
        actor,
        config={"account": "1"},
        sealed=b"\x00\xff sealed",
        secrets=("api_key",),
        schedule_seconds=3600,
        streams=("b", "a"),
        health=Health.PAUSED,
        failures=10,
        next_sync_at=LONG_AGO,
        last_synced_at=LONG_AGO,
        disabled_at=LONG_AGO,
    )
    with storage.writing(actor) as tx:
        tx.connections.add(connection)
    with storage.writing(actor) as tx:
        assert tx.connections.get(connection.id, lock=True) == connection
        assert "sealed" not in repr(connection)
        tx.connections.update(
            replace(connection, streams=None, sealed=None, secrets=(), schedule_seconds=None, disabled_at=None)
        )
    with storage.reading(actor) as tx:
        changed = tx.connections.get(connection.id)
        assert (changed.streams, changed.sealed, changed.secrets, changed.version) == (None, None, (), 2)
        assert changed.disabled_at is None


def test_what_came_in_is_added_up_by_when_it_came(storage: Storage) -> None:
    actor = storage.tenant()
    connection, other = storage.connection(actor, "one"), storage.connection(actor, "other")
    counts = {"inserted": 5, "known": 2, "refused": 1}
    with storage.writing(actor) as tx:
        assert tx.connections.totals(connection, [START]) == [Totals(imports=0, inserted=0, known=0, refused=0)]
        for owner, days, status in (
            (connection, 0, ImportStatus.DONE),
            (connection, 40, ImportStatus.FAILED),
            (connection, 40, ImportStatus.UNDONE),
            (other, 40, ImportStatus.DONE),
        ):
            imported = replace(
                an_import(storage.ids.new(), actor, owner), created_at=START + timedelta(days=days), status=status
            )
            tx.imports.add(imported, [])
            if status is not ImportStatus.UNDONE:
                tx.imports.update(replace(imported, **counts))
        delivery = replace(a_delivery(storage.ids.new(), actor, connection), received_at=START + timedelta(days=41))
        tx.deliveries.add(delivery, a_message())
        tx.deliveries.update(replace(delivery, inserted=1))
    with storage.reading(actor) as tx:
        assert tx.connections.totals(connection, [START, START + timedelta(days=40), START + timedelta(days=50)]) == [
            Totals(imports=3, inserted=11, known=4, refused=2),
            Totals(imports=2, inserted=6, known=2, refused=1),
            Totals(imports=0, inserted=0, known=0, refused=0),
        ]


def test_noting_health_leaves_the_version_and_what_a_person_set(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.connection(actor)
    with storage.writing(actor) as tx:
        before = tx.connections.get(id)
        tx.connections.update(replace(before, name="Renamed"))
        tx.connections.note(replace(before, health=Health.DEGRADED, failures=2, next_sync_at=LONG_AGO))
    with storage.reading(actor) as tx:
        noted = tx.connections.get(id)
        assert (noted.name, noted.version) == ("Renamed", 2)
        assert (noted.health, noted.failures, noted.next_sync_at) == (Health.DEGRADED, 2, LONG_AGO)
        with pytest.raises(VersionMismatch):
            tx.connections.update(before)
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.connections.note(replace(before, id=storage.ids.new()))


def test_a_stream_has_one_cursor_the_last_one(storage: Storage) -> None:
    actor = storage.tenant()
    id, other = storage.connection(actor), storage.connection(actor, "Other")
    with storage.writing(actor) as tx:
        tx.syncs.put_cursor(id, a_cursor())
        tx.syncs.put_cursor(id, a_cursor(after=2, version=3))
        tx.syncs.put_cursor(id, a_cursor("refunds"))
        tx.syncs.put_cursor(other, a_cursor(after=9))
    with storage.writing(actor) as tx:
        expected = {"charges": a_cursor(after=2, version=3), "refunds": a_cursor("refunds")}
        assert dict(tx.syncs.cursors(id)) == expected
        tx.syncs.forget_cursors(id, "refunds")
        assert list(tx.syncs.cursors(id)) == ["charges"]
        tx.syncs.forget_cursors(id)
    with storage.reading(actor) as tx:
        assert not tx.syncs.cursors(id)
        assert list(tx.syncs.cursors(other)) == ["charges"]


def test_the_latest_of_history_and_log_are_kept(storage: Storage) -> None:
    actor = storage.tenant()
    id, other = storage.connection(actor), storage.connection(actor, "Other")
    entries = [a_health_entry(storage.ids.new(), message=str(n)) for n in range(MAX_HISTORY + 5)]
    lines = [a_log_line(storage.ids.new(), str(n)) for n in range(MAX_LINES + 5)]
    with storage.writing(actor) as tx:
        tx.syncs.tell(other, entries[0])
        tx.syncs.log(other, lines[:1])
        for entry in entries:
            tx.syncs.tell(id, entry)
        tx.syncs.log(id, lines[:10])
        tx.syncs.log(id, lines[10:])
        tx.syncs.log(id, [])
    with storage.reading(actor) as tx:
        assert list(tx.syncs.history(id, 2_000)) == entries[: -MAX_HISTORY - 1 : -1]
        assert list(tx.syncs.history(id, 1)) == entries[-1:]
        kept = tx.syncs.lines(id, before=None, limit=2_000)
        assert list(kept) == lines[: -MAX_LINES - 1 : -1]
        assert list(tx.syncs.lines(id, before=kept[2].id, limit=2)) == list(kept[3:5])
        assert len(tx.syncs.lines(other, before=None, limit=9)) == len(tx.syncs.history(other, 9)) == 1


def test_what_syncs_left_goes_with_the_connection(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.connection(actor)
    with storage.writing(actor) as tx:
        tx.syncs.put_cursor(id, a_cursor())
        tx.syncs.tell(id, a_health_entry(storage.ids.new()))
        tx.syncs.log(id, [a_log_line(storage.ids.new())])
        tx.connections.delete(id, None)
        assert not [*tx.syncs.cursors(id), *tx.syncs.history(id, 9), *tx.syncs.lines(id, before=None, limit=9)]


def test_a_connection_has_one_open_sync_at_most(storage: Storage) -> None:
    actor = storage.tenant()
    id, other = storage.connection(actor), storage.connection(actor, "Other")
    payload = {"connection_id": str(id), "import_id": "1"}
    first = storage.job(actor, Stream.SYNC, payload=payload)
    storage.job(actor, Stream.SYNC, payload={**payload, "connection_id": str(other)})
    storage.job(actor, Stream.PROCESS, payload=payload)
    with storage.reading(actor) as tx:
        found = tx.jobs.open_sync(id)
        assert found is not None
        assert found.id == first
    with pytest.raises(Conflict, match="under way"):
        storage.job(actor, Stream.SYNC, payload=payload)
    job = storage.claim(actor, first)
    with storage.writing(actor) as tx:
        tx.jobs.fail(job, "no", due_at=None)
        assert tx.jobs.open_sync(id) is None
    storage.job(actor, Stream.SYNC, payload=payload)
    with storage.reading(actor) as tx, pytest.raises(Conflict, match="under way"):
        tx.jobs.replay([first])


def test_what_is_due_is_queued_once_and_moved_on(storage: Storage) -> None:
    actor, another = storage.tenant(), storage.tenant()
    connection, on_demand = due(storage, actor), due(storage, another, schedule_seconds=None)
    not_yet = due(storage, actor, "Later", next_sync_at=storage.now() + timedelta(hours=1))
    assert queue(storage) == 2
    assert queue(storage) == 0
    for owner, one in ((actor, connection), (another, on_demand)):
        with storage.reading(owner) as tx:
            [job] = tx.jobs.list(stream="connections:sync", statuses=(), after=None, limit=9)
            assert (job.status, job.max_attempts) == (JobStatus.QUEUED, 3)
            assert set(job.payload) == {"connection_id", "import_id"}
            assert job.payload["connection_id"] == str(one.id)
            assert job.payload["import_id"] != str(job.id)
    with storage.reading(actor) as tx:
        moved = tx.connections.get(connection.id).next_sync_at
        assert moved is not None
        assert moved > storage.now()
        assert tx.connections.get(not_yet.id) == not_yet
    with storage.reading(another) as tx:
        assert tx.connections.get(on_demand.id).next_sync_at is None


def test_the_longest_due_come_first(storage: Storage) -> None:
    actor = storage.tenant()
    later = due(storage, actor, "a", next_sync_at=LONG_AGO + timedelta(days=1))
    sooner = due(storage, actor, "b")
    assert queue(storage, most=1) == 1
    with storage.reading(actor) as tx:
        assert tx.jobs.open_sync(sooner.id) is not None
        assert tx.jobs.open_sync(later.id) is None


def test_a_connection_whose_sync_is_open_waits_for_its_next_turn(storage: Storage) -> None:
    actor = storage.tenant()
    connection = due(storage, actor)
    storage.job(actor, Stream.SYNC, payload={"connection_id": str(connection.id), "import_id": "1"})
    assert queue(storage) == 0
    with storage.reading(actor) as tx:
        assert len(tx.jobs.list(stream="connections:sync", statuses=(), after=None, limit=9)) == 1
        assert tx.connections.get(connection.id).next_sync_at != LONG_AGO


def test_several_relays_queue_none_twice(storage: Storage) -> None:
    actor = storage.tenant()
    for n in range(20):
        due(storage, actor, str(n))
    batches = [storage.ids.batch(40) for _ in range(4)]
    queued: list[int] = []

    def relay(ids: object) -> None:
        queued.append(storage.system.queue_syncs(ids, max_attempts=3))  # type: ignore[arg-type]

    relays = [threading.Thread(target=relay, args=(ids,)) for ids in batches]
    for thread in relays:
        thread.start()
    for thread in relays:
        thread.join()
    assert sum(queued) == 20
    with storage.reading(actor) as tx:
        assert len(tx.jobs.list(stream="connections:sync", statuses=(), after=None, limit=99)) == 20


def test_connections_and_syncs_are_counted_over_all_tenants(storage: Storage) -> None:
    for health in (Health.HEALTHY, Health.HEALTHY, Health.PAUSED):
        actor = storage.tenant()
        storage.connection(actor, health=health)
        with storage.writing(actor) as tx:
            tx.syncs.count("csv", "done", 5)
            tx.syncs.count("csv", "done", 2)
            tx.syncs.count("csv", "transient", 1)
    assert sorted(storage.system.connection_counts()) == [("csv", "healthy", 2), ("csv", "paused", 1)]
    assert sorted(storage.system.sync_counts()) == [("csv", "done", 6, 21), ("csv", "transient", 3, 3)]
