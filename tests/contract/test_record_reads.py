"""Reads of many records: snapshots, the past of a counterparty, the amounts of a category."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.domain.approvals import ApprovalReason, Verdict
from core.domain.records import RecordStatus, Snapshot
from core.domain.rule_history import Past
from core.domain.tenants import Actor
from ports.storage import RecordFilter
from tests.contract.storage import Storage, a_draft, answered, asked, decided, open_of

RULE = ApprovalReason.RULE


def read(storage: Storage, actor: Actor, limit: int = 9, before: UUID | None = None, **where: Any) -> list[Snapshot]:
    with storage.reading(actor) as tx:
        return list(tx.records.snapshots(RecordFilter(**where), before=before, limit=limit))


def by_person(storage: Storage, actor: Actor, category_id: UUID, *ids: UUID) -> None:
    with storage.writing(actor) as tx:
        found = tx.records.get_many(ids)
        tx.records.update([replace(r, status=RecordStatus.APPROVED, category_id=category_id) for r in found])


def test_a_snapshot_says_of_a_record_what_the_record_says(storage: Storage) -> None:
    actor = storage.tenant()
    food, rule = storage.category(actor), storage.ids.new()
    noon = datetime(2026, 1, 3, 12, 30, tzinfo=UTC)
    drafts = [
        a_draft("1", counterparty="REWE", attributes={"mcc": "5411", "deep": {"n": [1, 2.5, None]}}),
        a_draft("2", occurred_at=noon, amount=None, currency=None, kind="ticket", account=""),
        a_draft("3", amount=Decimal("1000000000000.123456789012")),
    ]
    ids = storage.store(actor, drafts).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(ids[0], food, rule_id=rule), asked(ids[1])])
    with storage.reading(actor) as tx:
        records = tx.records.get_many(ids)
    snapshots = read(storage, actor)
    assert [s.id for s in snapshots] == list(reversed(ids))
    own = [name for name in Snapshot._fields if name != "asked"]
    for snapshot, record in zip(reversed(snapshots), records, strict=True):
        assert {name: getattr(snapshot, name) for name in own} == {name: getattr(record, name) for name in own}
        assert type(snapshot.status) is RecordStatus
    assert (snapshots[2].rule_id, snapshots[2].category_id, snapshots[1].occurred_at) == (rule, food, noon)
    assert [s.asked for s in snapshots] == [False] * 3


def test_a_snapshot_tells_that_a_rule_asked(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    ids = storage.store(actor, [a_draft(n) for n in "abcd"]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([asked(ids[0], approval=RULE), asked(ids[1]), asked(ids[2], approval=RULE)])
        answer = open_of(tx, ids[2])
        assert answer is not None
        tx.approvals.decide([answered(answer, Verdict.OVERRIDE, food)])
    assert [s.id for s in read(storage, actor) if s.asked] == [ids[0]]


def test_snapshots_come_the_newest_first_page_by_page_and_filtered(storage: Storage) -> None:
    actor = storage.tenant()
    texts = ["REWE", "Shell", "rewe city", "Aral", "REWE to go"]
    ids = storage.store(actor, [a_draft(f"{n}", text=text) for n, text in enumerate(texts)]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(ids[0]), asked(ids[4])])
    assert [s.id for s in read(storage, actor, limit=2)] == [ids[4], ids[3]]
    assert [s.id for s in read(storage, actor, before=ids[3], limit=2)] == [ids[2], ids[1]]
    assert [s.id for s in read(storage, actor, text="rewe")] == [ids[4], ids[2], ids[0]]
    assert [s.id for s in read(storage, actor, text="rewe", before=ids[4], limit=1)] == [ids[2]]
    assert [s.id for s in read(storage, actor, statuses=("processed", "needs_review"))] == [ids[4], ids[0]]
    assert read(storage, actor, text="%s") == []
    with storage.reading(actor) as tx:
        assert tx.records.count(RecordFilter()) == 5
        assert tx.records.count(RecordFilter(text="rewe", statuses=("ingested",))) == 1
        assert tx.records.tally(RecordFilter(text="rewe")) == {
            ("processed", "rules"): 1, ("ingested", None): 1, ("needs_review", None): 1
        }  # fmt: skip


def test_the_past_of_a_party_is_what_others_did_up_to_that_day(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    days = [date(2026, 1, day) for day in (3, 1, 2, 2, 9)]
    mine = storage.store(
        actor, [a_draft(f"{n}", counterparty="REWE", occurred_at=day) for n, day in enumerate(days)]
    ).inserted
    storage.record(actor, "x", counterparty="Rewe")
    by_person(storage, actor, food, mine[1])
    with storage.writing(actor) as tx:
        tx.records.decide([decided(mine[2], food)])
    a, b, c, d, e = (
        Past(id, day, Decimal("-12.50"), "EUR", "food" if id == mine[1] else None)
        for id, day in zip(mine, days, strict=True)
    )
    with storage.reading(actor) as tx:

        def past(*asked: tuple[UUID, str, date], limit: int = 9) -> list[list[Past]]:
            return [list(found) for found in tx.records.past(asked, limit)]

        assert past((mine[0], "REWE", days[0]), (mine[3], "REWE", days[3])) == [[d, c, b], [c, b]]
        assert past((mine[0], "REWE", days[0]), (mine[4], "REWE", days[4]), limit=2) == [[d, c], [a, d]]
        assert past((storage.ids.new(), "REWE", date(2027, 1, 1))) == [[e, a, d, c, b]]
        assert past((mine[1], "REWE", days[1]), (mine[1], "nobody", days[1])) == [[], []]
        assert past() == []


def test_records_without_a_counterparty_are_known_by_their_text(storage: Storage) -> None:
    actor = storage.tenant()
    instant = datetime(2026, 1, 3, 23, 30, tzinfo=UTC)  # the 4th in the tenant's zone
    first, _, second = storage.store(
        actor,
        [
            a_draft("1", text="Müller & Söhne", occurred_at=instant, amount=None, currency=None),
            a_draft("2", text="Müller & Söhne", counterparty="Bank"),
            a_draft("3", text="Müller & Söhne", occurred_at=date(2026, 1, 5)),
        ],
    ).inserted
    with storage.reading(actor) as tx:
        (found,) = tx.records.past([(second, "Müller & Söhne", date(2026, 1, 5))], 9)
        assert list(found) == [Past(first, date(2026, 1, 4), None, None, None)]
        (found,) = tx.records.past([(second, "Müller & Söhne", date(2026, 1, 3))], 9)
        assert list(found) == []


def test_the_amounts_of_a_category_are_those_that_people_put_there(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    amounts = ["-1.50", "-20", "-300.25", "-4", "-5", "-6"]
    days = [3, 1, 9, 9, 2, 2]
    drafts = [
        a_draft(f"{n}", amount=Decimal(amount), occurred_at=date(2026, 1, day))
        for n, (amount, day) in enumerate(zip(amounts, days, strict=True))
    ]
    drafts[4] = replace(drafts[4], currency="USD")
    drafts.append(a_draft("none", amount=None))
    ids = storage.store(actor, drafts).inserted
    by_person(storage, actor, food, *ids[:3], ids[4], ids[6])
    by_person(storage, actor, car, ids[3])
    with storage.writing(actor) as tx:
        tx.records.decide([decided(ids[5], food)])
    with storage.reading(actor) as tx:
        assert list(tx.records.amounts("food", "EUR", 9)) == [Decimal("-300.25"), Decimal("-1.50"), Decimal(-20)]
        assert list(tx.records.amounts("food", "EUR", 2)) == [Decimal("-300.25"), Decimal("-1.50")]
        assert list(tx.records.amounts("food", "USD", 9)) == [Decimal(-5)]
        assert list(tx.records.amounts("nothing", "EUR", 9)) == []
