"""Records: read by filters and cursor, changed under their version, deleted for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.domain.records import Record, RecordStatus
from core.errors import Invalid, NotFound, VersionMismatch
from ports.storage import RecordFilter
from tests.contract.storage import Storage, a_draft, an_example, asked, decided


def test_many_records_come_in_the_order_asked_for(storage: Storage) -> None:
    actor = storage.tenant()
    a, b, c = storage.store(actor, [a_draft(n) for n in "abc"]).inserted
    with storage.reading(actor) as tx:
        assert [r.id for r in tx.records.get_many([c, a, b])] == [c, a, b]
        assert list(tx.records.get_many([])) == []
        assert [r.id for r in tx.records.present([c, storage.ids.new(), a, c])] == [a, c]
        assert list(tx.records.present([])) == []
        for call in (lambda: tx.records.get_many([a, storage.ids.new()]), lambda: tx.records.get(storage.ids.new())):
            with pytest.raises(NotFound):
                call()


def test_open_records_of_an_import_come_by_id_within_a_range(storage: Storage) -> None:
    actor = storage.tenant()
    import_id = storage.ids.new()
    ids = storage.store(actor, [a_draft(f"{n}", raw={"n": n}) for n in range(4)], import_id=import_id).inserted
    storage.store(actor, [a_draft("other")])
    with storage.writing(actor) as tx:
        tx.records.decide([decided(ids[2])])
    with storage.reading(actor) as tx:
        found = tx.records.open_between(import_id, ids[1], ids[3])
        assert [r.id for r in found] == [ids[1], ids[3]]
        assert [(r.text, r.status, r.asked) for r in found] == [("REWE Markt 1234", RecordStatus.INGESTED, False)] * 2
        among = tx.records.open_among([ids[3], ids[2], ids[0]])
        assert [(r.id, r.raw) for r in among] == [(ids[0], {}), (ids[3], {})]
        assert list(tx.records.open_among([])) == []


def test_a_page_holds_the_fields_of_records_but_raw_and_tenant(storage: Storage) -> None:
    actor = storage.tenant()
    instant = datetime(2026, 1, 3, 12, tzinfo=UTC)
    a, b = storage.store(actor, [a_draft("1"), a_draft("2", occurred_at=instant)]).inserted
    with storage.reading(actor) as tx:
        page = tx.records.page(RecordFilter(), after=None, limit=10)
        for shown, id in zip(page, (a, b), strict=True):
            record = tx.records.get(id)
            assert set(shown) == set(Record.__slots__) - {"raw", "tenant_id"}
            assert {**shown, "tags": tuple(shown["tags"])} == {name: getattr(record, name) for name in shown}


def test_pages_follow_each_other_by_cursor(storage: Storage) -> None:
    actor = storage.tenant()
    ids = storage.store(actor, [a_draft(f"{n}") for n in range(5)]).inserted
    with storage.reading(actor) as tx:
        first = tx.records.page(RecordFilter(), after=None, limit=2)
        second = tx.records.page(RecordFilter(), after=first[-1]["id"], limit=2)
        third = tx.records.page(RecordFilter(), after=second[-1]["id"], limit=2)
    assert [r["id"] for r in (*first, *second, *third)] == list(ids)


def test_the_latest_day_comes_first_and_of_a_day_what_came_last(storage: Storage) -> None:
    actor = storage.tenant()
    days = [date(2026, 1, 5), date(2026, 1, 7), date(2026, 1, 5), datetime(2026, 1, 6, 23, 30, tzinfo=UTC)]
    drafts = [a_draft(f"{n}", occurred_at=day, text=f"text {n % 2}") for n, day in enumerate(days)]
    ids = storage.store(actor, drafts).inserted
    with storage.reading(actor) as tx:
        everything = tx.records.latest(RecordFilter(), before=None, limit=9)
        page = tx.records.page(RecordFilter(), after=None, limit=9)
        first = tx.records.latest(RecordFilter(), before=None, limit=2)
        day, last = first[-1]
        second = tx.records.latest(RecordFilter(), before=(day, last["id"]), limit=9)
        even = tx.records.latest(RecordFilter(text="text 0"), before=None, limit=9)
    assert [row["id"] for _, row in everything] == [ids[3], ids[1], ids[2], ids[0]]
    assert [day for day, _ in everything] == [date(2026, 1, 7)] * 2 + [date(2026, 1, 5)] * 2, "in the tenant's zone"
    assert {row["id"]: row for _, row in everything} == {row["id"]: row for row in page}
    assert [row["id"] for _, row in (*first, *second)] == [row["id"] for _, row in everything]
    assert [row["id"] for _, row in even] == [ids[2], ids[0]]


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "abcd"),
    ({"statuses": ("processed",)}, "b"),
    ({"statuses": ("processed", "needs_review")}, "bc"),
    ({"stage": "rules"}, "b"),
    ({"account": "card"}, "d"),
    ({"kind": "invoice"}, "d"),
    ({"currency": "USD"}, "c"),
    ({"since": date(2026, 1, 4)}, "bcd"),
    ({"until": date(2026, 1, 4)}, "ab"),
    ({"since": date(2026, 1, 4), "until": date(2026, 1, 4)}, "b"),
    ({"min_amount": Decimal("-20")}, "ab"),
    ({"max_amount": Decimal("-12.50")}, "ac"),
    ({"min_amount": Decimal("0"), "max_amount": Decimal("5.00")}, "b"),
    ({"text": "rewe"}, "ab"),
    ({"text": "ÜBER"}, "c"),
    ({"text": "edeka"}, "d"),
    ({"text": "100%"}, "c"),
    ({"text": "_"}, ""),
    ({"text": "rewe", "min_amount": Decimal("0")}, "b"),
]


@pytest.mark.parametrize(("where", "expected"), FILTERS, ids=[str(where) for where, _ in FILTERS])
def test_a_page_holds_what_the_filter_lets_through(storage: Storage, where: dict[str, Any], expected: str) -> None:
    actor = storage.tenant()
    drafts = [
        a_draft("a", amount=Decimal("-12.50")),
        a_draft("b", text="Rewe 2", amount=Decimal("5"), occurred_at=date(2026, 1, 4)),
        # late on the 4th in UTC is the 5th in the tenant's time zone
        a_draft(
            "c",
            text="über 100% Baumwolle",
            amount=Decimal("-99"),
            currency="USD",
            occurred_at=datetime(2026, 1, 4, 23, 30, tzinfo=UTC),
        ),
        a_draft(
            "d",
            kind="invoice",
            account="card",
            counterparty="EDEKA Nord",
            text="Einkauf",
            amount=None,
            currency=None,
            occurred_at=date(2026, 1, 6),
        ),
    ]
    _, b, c, _ = storage.store(actor, drafts).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(b), asked(c)])
    with storage.reading(actor) as tx:
        page = tx.records.page(RecordFilter(**where), after=None, limit=10)
    assert "".join(r["external_id"] for r in page) == expected


def test_a_page_is_filtered_by_category_connection_and_import(storage: Storage) -> None:
    actor = storage.tenant()
    food, connection_id, import_id = storage.category(actor), storage.connection(actor, "Other"), storage.ids.new()
    storage.record(actor, "elsewhere")
    (id,) = storage.store(actor, [a_draft("1")], connection_id=connection_id, import_id=import_id).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food)])
        for where in ({"category_id": food}, {"connection_id": connection_id}, {"import_id": import_id}):
            assert [r["id"] for r in tx.records.page(RecordFilter(**where), after=None, limit=9)] == [id]
        assert tx.records.page(RecordFilter(category_id=storage.ids.new()), after=None, limit=9) == []


def test_updating_records_writes_what_people_change(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    a, b = storage.store(actor, [a_draft("1", attributes={"old": "1"}), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        before = tx.records.get_many([a, b])
        changed = [
            replace(
                before[0],
                status=RecordStatus.OVERRIDDEN,
                category_id=food,
                stage="human",
                confidence=1.0,
                reasoning_trace={"reason": "human: 'no'", "stages": []},
                tags=("a,b", 'c"d', ""),
                attributes={"new": "2"},
            ),
            replace(before[1], status=RecordStatus.FAILED, failure="no idea", text="ignored", raw={"ignored": "1"}),
        ]
        tx.records.update(changed)
        tx.records.update([])
    with storage.reading(actor) as tx:
        first, second = tx.records.get_many([a, b])
    assert first == replace(changed[0], version=2, updated_at=first.updated_at)
    assert (second.status, second.failure, second.version) == (RecordStatus.FAILED, "no idea", 2)
    assert (second.text, second.raw, second.category_id) == ("REWE Markt 1234", {}, None)
    assert (second.reasoning_trace, second.tags) == (None, ())


def test_a_stale_update_changes_no_record(storage: Storage) -> None:
    actor = storage.tenant()
    a, b = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        stale = tx.records.get(b)
        tx.records.update([stale])
    with pytest.raises(VersionMismatch), storage.writing(actor) as tx:
        tx.records.update([replace(tx.records.get(a), stage="human"), stale])
    with storage.reading(actor) as tx:
        assert tx.records.get(a).stage is None
        with pytest.raises(NotFound):
            tx.records.update([replace(stale, id=storage.ids.new())])


def test_a_record_cannot_be_given_a_category_that_does_not_exist(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor)
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.records.update([replace(tx.records.get(id), category_id=storage.ids.new())])


def test_deleting_a_record_takes_its_approval_and_example_with_it(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    approval_id = storage.review(actor)
    with storage.writing(actor) as tx:
        (approval,) = tx.approvals.get_many([approval_id])
        tx.examples.put([an_example(storage.ids.new(), actor, food, approval.record_id)])
    with storage.reading(actor) as tx, pytest.raises(VersionMismatch):
        tx.records.delete(approval.record_id, 1)
    with storage.writing(actor) as tx:
        tx.records.delete(approval.record_id, 2)
        assert tx.approvals.count_open() == 0
        assert tx.examples.list(after=None, limit=9) == []
        for call in (
            lambda: tx.records.get(approval.record_id),
            lambda: tx.records.delete(approval.record_id, None),
            lambda: tx.approvals.get_many([approval_id]),
        ):
            with pytest.raises(NotFound):
                call()
    assert [e.subject_id for e in storage.events(actor, "DELETED")] == [approval.record_id]
