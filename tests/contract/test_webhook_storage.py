"""Deliveries of webhooks: each event once, and no longer than they are needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.webhooks import DeliveryStatus, Outcome
from core.errors import Invalid, NotFound
from tests.contract.storage import START, Storage, a_delivery, a_message, some_refused


def test_a_delivery_and_its_message_come_back_as_they_were(storage: Storage) -> None:
    actor = storage.tenant()
    delivery = a_delivery(storage.ids.new(), actor, storage.connection(actor))
    message = a_message(bytes(range(256)))
    with storage.writing(actor) as tx:
        assert tx.deliveries.add(delivery, message) == delivery
    with storage.reading(actor) as tx:
        assert tx.deliveries.get(delivery.id) == delivery
        assert tx.deliveries.message(delivery.id) == message


def test_an_event_is_kept_once_for_each_connection(storage: Storage) -> None:
    actor = storage.tenant()
    one, other = storage.connection(actor, "one"), storage.connection(actor, "other")
    first = a_delivery(storage.ids.new(), actor, one)
    with storage.writing(actor) as tx:
        tx.deliveries.add(first, a_message(b"first"))
    with storage.writing(actor) as tx:
        again = a_delivery(storage.ids.new(), actor, one)
        assert tx.deliveries.add(again, a_message(b"again")) == first
        elsewhere = a_delivery(storage.ids.new(), actor, other)
        assert tx.deliveries.add(elsewhere, a_message()) == elsewhere
        assert tx.deliveries.message(first.id).body == b"first"
        with pytest.raises(NotFound):
            tx.deliveries.get(again.id)


def test_what_became_of_it_is_written_and_nothing_else(storage: Storage) -> None:
    actor = storage.tenant()
    delivery = a_delivery(storage.ids.new(), actor, storage.connection(actor))
    ended = replace(
        delivery,
        status=DeliveryStatus.FAILED,
        inserted=3,
        known=2,
        refused=1,
        refusals=({"position": 1, "reason": "no date"},),
        failure="it broke",
        finished_at=START,
    )
    with storage.writing(actor) as tx:
        tx.deliveries.add(delivery, a_message())
        tx.deliveries.update(replace(ended, event_id="other", bytes=9))
    with storage.reading(actor) as tx:
        assert tx.deliveries.get(delivery.id) == ended


def test_deliveries_are_listed_newest_first_page_by_page(storage: Storage) -> None:
    actor = storage.tenant()
    connection = storage.connection(actor)
    ids = storage.ids.batch(3)
    with storage.writing(actor) as tx:
        for number, id in enumerate(ids):
            tx.deliveries.add(a_delivery(id, actor, connection, str(number)), a_message())
        assert [d.id for d in tx.deliveries.list(connection, before=None, limit=2)] == [ids[2], ids[1]]
        assert [d.id for d in tx.deliveries.list(connection, before=ids[1], limit=2)] == [ids[0]]
        assert tx.deliveries.list(storage.ids.new(), before=None, limit=2) == []


def test_what_does_not_exist_is_not_found(storage: Storage) -> None:
    actor = storage.tenant()
    unknown = a_delivery(storage.ids.new(), actor, storage.ids.new())
    with storage.reading(actor) as tx:
        for call in (
            lambda: tx.deliveries.get(unknown.id),
            lambda: tx.deliveries.message(unknown.id),
            lambda: tx.deliveries.update(unknown),
        ):
            with pytest.raises(NotFound):
                call()
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.deliveries.add(unknown, a_message())


def test_messages_that_were_read_are_dropped_and_their_events_remembered(storage: Storage) -> None:
    actor = storage.tenant()
    connection = storage.connection(actor)
    read, fresh, waiting = (a_delivery(id, actor, connection, str(id)) for id in storage.ids.batch(3))
    with storage.writing(actor) as tx:
        for delivery in (read, fresh, waiting):
            tx.deliveries.add(delivery, a_message())
        done = {"status": DeliveryStatus.DONE}
        tx.deliveries.update(replace(read, finished_at=storage.now() - timedelta(hours=2), **done))  # type: ignore[arg-type]
        tx.deliveries.update(replace(fresh, finished_at=storage.now(), **done))  # type: ignore[arg-type]
    assert storage.system.sweep(payload_seconds=3600, job_seconds=1e9, key_seconds=1e9) == 1
    with storage.writing(actor) as tx:
        with pytest.raises(NotFound, match="dropped"):
            tx.deliveries.message(read.id)
        tx.deliveries.message(fresh.id)
        tx.deliveries.message(waiting.id)
        assert tx.deliveries.add(replace(read, id=storage.ids.new()), a_message()).id == read.id


def test_deliveries_go_with_their_connection(storage: Storage) -> None:
    actor = storage.tenant()
    delivery = a_delivery(storage.ids.new(), actor, storage.connection(actor))
    with storage.writing(actor) as tx:
        tx.deliveries.add(delivery, a_message())
    with storage.writing(actor) as tx:
        tx.connections.delete(delivery.connection_id, None)
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.deliveries.get(delivery.id)


def test_the_tenant_of_a_connection_is_found(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant()
    mine, theirs = storage.connection(actor), storage.connection(other)
    assert storage.system.tenant_of_connection(mine) == actor.tenant_id
    assert storage.system.tenant_of_connection(theirs) == other.tenant_id
    assert storage.system.tenant_of_connection(storage.ids.new()) is None


def test_what_was_refused_is_noted_without_another_version(storage: Storage) -> None:
    actor = storage.tenant()
    connection, other = storage.connection(actor, "one"), storage.connection(actor, "other")
    later = some_refused(count=9, outcome=Outcome.STALE, at=START + timedelta(minutes=1, microseconds=7))
    with storage.writing(actor) as tx:
        assert tx.deliveries.refused(connection) is None
        tx.deliveries.put_refused(connection, some_refused())
        tx.deliveries.put_refused(connection, later)
        with pytest.raises(NotFound):
            tx.deliveries.put_refused(storage.ids.new(), later)
    with storage.writing(actor) as tx:
        assert tx.deliveries.refused(connection) == later
        assert tx.deliveries.refused(other) is None
        assert tx.connections.get(connection).version == 1
        tx.connections.delete(connection, None)
    with storage.reading(actor) as tx:
        assert tx.deliveries.refused(connection) is None
