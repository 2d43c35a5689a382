"""Storing records: each once, however often and in whatever state it is delivered."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from core.domain.records import RecordStatus
from core.errors import Invalid
from ports.record_storage import Stored
from tests.contract.storage import Storage, a_draft


def test_a_record_comes_back_as_it_was_drafted(storage: Storage) -> None:
    actor = storage.tenant()
    connection_id, import_id = storage.connection(actor), storage.ids.new()
    draft = a_draft(
        "T-1",
        text="Bäcker\tKüster \\N 'x' — 5 %",
        counterparty="Küster GmbH",
        kind="invoice",
        amount=Decimal("-1234567890123456789.123456789012"),
        attributes={"mcc": "5462", "deep": {"list": [1, "two", None, 2.5]}},
        raw={"Betrag": "-12,50", "Notiz": 'a "quote"'},
        pending=True,
    )
    (id,) = storage.store(actor, [draft], connection_id=connection_id, import_id=import_id).inserted
    with storage.reading(actor) as tx:
        record = tx.records.get(id)
    for name in ("text", "counterparty", "kind", "account", "amount", "currency", "attributes", "raw", "pending"):
        assert getattr(record, name) == getattr(draft, name), name
    assert (record.tenant_id, record.connection_id, record.import_id) == (actor.tenant_id, connection_id, import_id)
    assert (record.external_id, record.occurred_at, record.version) == ("T-1", date(2026, 1, 3), 1)
    assert (record.status, record.category_id, record.reasoning_trace) == (RecordStatus.INGESTED, None, None)
    assert record.tags == ()
    assert record.created_at.utcoffset() is not None


def test_an_instant_stays_an_instant_and_no_amount_stays_none(storage: Storage) -> None:
    actor = storage.tenant()
    instant = datetime(2026, 1, 3, 22, 30, 0, 123456, tzinfo=UTC)
    id = storage.record(actor, occurred_at=instant, amount=None, currency=None)
    with storage.reading(actor) as tx:
        record = tx.records.get(id)
    assert (record.occurred_at, record.amount, record.currency) == (instant, None, None)


def test_ids_of_new_records_come_in_the_order_of_the_drafts_with_an_event_each(storage: Storage) -> None:
    actor = storage.tenant()
    import_id = storage.ids.new()
    stored = storage.store(actor, [a_draft(f"{n}") for n in (3, 1, 2)], import_id=import_id)
    with storage.reading(actor) as tx:
        assert [r.external_id for r in tx.records.get_many(stored.inserted)] == ["3", "1", "2"]
    told = storage.events(actor)
    assert [(e.type, e.subject_id) for e in told] == [("INGESTED", id) for id in stored.inserted]
    assert told[0].payload["import_id"] == str(import_id)


def test_no_drafts_store_nothing(storage: Storage) -> None:
    assert storage.store(storage.tenant(), []) == Stored(inserted=(), known=0, updated=0)


def test_what_is_known_is_left_alone(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor, "1")
    stored = storage.store(actor, [a_draft("1", text="changed"), a_draft("2")])
    assert (len(stored.inserted), stored.known, stored.updated) == (1, 1, 0)
    with storage.reading(actor) as tx:
        assert (tx.records.get(id).text, tx.records.get(id).version) == ("REWE Markt 1234", 1)
    assert len(storage.events(actor)) == 2


def test_duplicates_within_a_batch_are_one_record(storage: Storage) -> None:
    stored = storage.store(storage.tenant(), [a_draft("1"), a_draft("1"), a_draft("2"), a_draft("1")])
    assert (len(stored.inserted), stored.known, stored.updated) == (2, 2, 0)


def test_the_same_id_in_another_account_or_connection_is_another_record(storage: Storage) -> None:
    actor = storage.tenant()
    other = storage.connection(actor, "Other bank")
    assert len(storage.store(actor, [a_draft("1"), a_draft("1", account="card")]).inserted) == 2
    assert len(storage.store(actor, [a_draft("1")], connection_id=other).inserted) == 1


def test_a_deleted_record_does_not_come_back(storage: Storage) -> None:
    actor = storage.tenant()
    connection_id = storage.connection(actor)
    (id,) = storage.store(actor, [a_draft("1")], connection_id=connection_id).inserted
    with storage.writing(actor) as tx:
        tx.records.delete(id, None)
    stored = storage.store(actor, [a_draft("1"), a_draft("2")], connection_id=connection_id)
    assert (len(stored.inserted), stored.known, stored.updated) == (1, 1, 0)
    with storage.reading(actor) as tx:
        keys = [("giro", "1"), ("giro", "2"), ("giro", "3"), ("card", "1")]
        assert tx.records.known(connection_id, keys) == 2
        assert tx.records.known(connection_id, []) == 0
        assert tx.records.known(storage.ids.new(), keys) == 0


def test_a_pending_record_is_posted_in_place(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor, "1", pending=True, attributes={"a": "1", "b": "1"})
    again = storage.store(actor, [a_draft("1", pending=True, text="still pending")])
    assert (again.inserted, again.known, again.updated) == ((), 1, 0)
    posted = a_draft(
        "1", text="REWE sagt danke", amount=Decimal("-13"), occurred_at=date(2026, 1, 5), attributes={"b": "2"}
    )
    assert storage.store(actor, [posted, posted]) == Stored(inserted=(), known=2, updated=1)
    assert storage.store(actor, [posted]) == Stored(inserted=(), known=1, updated=0)
    with storage.reading(actor) as tx:
        record = tx.records.get(id)
    assert (record.text, record.amount, record.occurred_at) == ("REWE sagt danke", Decimal("-13"), date(2026, 1, 5))
    assert (record.pending, record.attributes, record.version) == (False, {"a": "1", "b": "2"}, 2)
    assert [(e.type, e.subject_id) for e in storage.events(actor)] == [("INGESTED", id), ("UPDATED", id)]


def test_a_record_that_is_posted_under_a_new_id_stays_one(storage: Storage) -> None:
    actor = storage.tenant()
    connection_id = storage.connection(actor)
    pending, posted = a_draft("P1", pending=True), a_draft("B1", pending_external_id="P1", text="posted")
    (id,) = storage.store(actor, [pending], connection_id=connection_id).inserted
    assert storage.store(actor, [posted], connection_id=connection_id) == Stored(inserted=(), known=1, updated=1)
    for late in ([pending], [posted], [pending, posted]):  # the old file once more
        stored = storage.store(actor, late, connection_id=connection_id)
        assert stored == Stored(inserted=(), known=len(late), updated=0)
    with storage.reading(actor) as tx:
        record = tx.records.get(id)
        assert (record.external_id, record.text, record.pending) == ("B1", "posted", False)
        assert tx.records.known(connection_id, [("giro", "P1"), ("giro", "B1")]) == 2


def test_pending_and_posted_in_one_batch_are_one_record(storage: Storage) -> None:
    actor = storage.tenant()
    batch = [
        a_draft("P1", pending=True),
        a_draft("B1", pending_external_id="P1"),
        a_draft("2", pending=True),
        a_draft("2"),
    ]
    first, second = storage.store(actor, batch).inserted
    with storage.reading(actor) as tx:
        records = tx.records.get_many([first, second])
    assert [(r.external_id, r.pending) for r in records] == [("B1", False), ("2", False)]


def test_two_pending_records_that_claim_one_posted_id_do_not_clash(storage: Storage) -> None:
    actor = storage.tenant()
    storage.store(actor, [a_draft("P1", pending=True), a_draft("P2", pending=True)])
    batch = [a_draft("B1", pending_external_id="P1"), a_draft("B1", pending_external_id="P2")]
    assert storage.store(actor, batch) == Stored(inserted=(), known=2, updated=1)


def test_a_record_deleted_while_pending_is_not_posted(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor, "P1", pending=True)
    with storage.writing(actor) as tx:
        tx.records.delete(id, None)
    assert storage.store(actor, [a_draft("B1", pending_external_id="P1")]).inserted == ()


def test_a_deleted_record_comes_back_under_none_of_its_ids(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor, "P1", pending=True)
    storage.store(actor, [a_draft("B1", pending_external_id="P1")])
    with storage.writing(actor) as tx:
        tx.records.delete(id, None)
    assert storage.store(actor, [a_draft("P1", pending=True), a_draft("B1")]).inserted == ()


def test_a_record_that_is_posted_already_keeps_its_id(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor, "B1")
    assert len(storage.store(actor, [a_draft("B2", pending_external_id="B1")]).inserted) == 1
    with storage.reading(actor) as tx:
        assert tx.records.get(id).external_id == "B1"


def test_a_posted_record_never_becomes_pending_again(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor, "1")
    assert storage.store(actor, [a_draft("1", pending=True)]).updated == 0
    with storage.reading(actor) as tx:
        assert not tx.records.get(id).pending


def test_history_that_names_its_category_comes_in_as_approved_and_teaches(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    drafts = [
        a_draft("1", category=" Food ", counterparty="Edeka"),
        a_draft("2", category="unheard of"),
        a_draft("3"),
        a_draft("1", category="food"),
    ]
    import_id = storage.ids.new()
    approved, unknown, unnamed = storage.store(actor, drafts, import_id=import_id, categories={"food": food}).inserted
    with storage.reading(actor) as tx:
        record = tx.records.get(approved)
        assert (record.status, record.category_id, record.stage) == (RecordStatus.APPROVED, food, "human")
        assert (record.confidence, record.selection_probability) == (1.0, 1.0)
        assert "approved" in (record.reasoning_trace or {})["reason"]
        assert {r.status for r in tx.records.get_many([unknown, unnamed])} == {RecordStatus.INGESTED}
        (example,) = tx.examples.list(after=None, limit=9)
        assert (example.record_id, example.category_id, example.text) == (approved, food, "Edeka REWE Markt 1234")
    (told,) = storage.events(actor, "TX_APPROVED")
    assert told.subject_id == approved
    assert told.payload == {"category_id": str(food), "verdict": "approve", "import_id": str(import_id)}
    assert list(storage.system.stage_counts()) == [("human", "approved", 1)]


def test_a_category_is_only_taken_from_history_when_asked_to(storage: Storage) -> None:
    actor = storage.tenant()
    storage.category(actor)
    id = storage.record(actor, category="food")
    with storage.reading(actor) as tx:
        assert tx.records.get(id).status is RecordStatus.INGESTED
        assert tx.examples.list(after=None, limit=9) == []


def test_a_category_or_connection_must_exist(storage: Storage) -> None:
    actor = storage.tenant()
    with pytest.raises(Invalid):
        storage.store(actor, [a_draft(category="food")], categories={"food": storage.ids.new()})
    with pytest.raises(Invalid):
        storage.store(actor, [a_draft()], connection_id=storage.ids.new())


def test_two_batches_in_one_transaction_tell_their_events_in_order(storage: Storage) -> None:
    actor = storage.tenant()
    connection_id, import_id = storage.connection(actor), storage.ids.new()
    with storage.writing(actor) as tx:
        for n in range(3):
            drafts = [(storage.ids.new(), a_draft(f"{n}-{i}"), date(2026, 1, 3)) for i in range(2)]
            tx.records.store(drafts, connection_id=connection_id, import_id=import_id)
    told = storage.events(actor)
    assert [e.seq for e in told] == [1, 2, 3, 4, 5, 6]
    with storage.reading(actor) as tx:
        named = [tx.records.get(e.subject_id).external_id for e in told if e.subject_id]
    assert named == ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]
