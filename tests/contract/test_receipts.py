"""Receipts as they are kept, what they may be of, and what people said of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from core.domain.receipt_matching import Window, window_of
from core.domain.receipts import Match, MatchState, Receipt, ReceiptState, Said
from core.domain.tenants import Actor
from core.errors import Invalid, NotFound, VersionMismatch
from ports.receipt_storage import Arrived, ReceiptFilter
from tests.contract.storage import START, Storage, a_draft, a_receipt

DAY = date(2026, 1, 3)


def kept(storage: Storage, actor: Actor, n: int = 1, said: Said | None = None) -> Receipt:
    receipt = a_receipt(storage.ids.new(), actor, n, said=said or Said(amount=Decimal("12.50"), day=DAY))
    with storage.writing(actor) as tx:
        return tx.receipts.add(receipt)


def decide(storage: Storage, actor: Actor, receipt: UUID, record: UUID, state: MatchState) -> Match | None:
    with storage.writing(actor) as tx:
        return tx.receipts.decide(receipt, record, state, by="reviewer", at=START)


def suggested(storage: Storage, actor: Actor, receipt: UUID) -> Mapping[UUID, float | None]:
    with storage.reading(actor) as tx:
        return {match.record_id: match.score for match in tx.receipts.matches(receipt, [MatchState.SUGGESTED])}


def windows(*receipts: Receipt) -> dict[UUID, Window]:
    found = {receipt.id: window_of(receipt.said, receipt.uploaded_at.date()) for receipt in receipts}
    return {id: window for id, window in found.items() if window is not None}


def test_a_receipt_is_kept_as_it_is(storage: Storage) -> None:
    actor = storage.tenant()
    said = Said(amount=Decimal("12.50"), currency="EUR", day=DAY, merchant="REWE")
    receipt = replace(a_receipt(storage.ids.new(), actor, said=said), by_person=("amount",), failure="why")
    with storage.writing(actor) as tx:
        assert tx.receipts.add(receipt) == receipt
    with storage.reading(actor) as tx:
        assert tx.receipts.get(receipt.id) == receipt
        assert list(tx.receipts.get_many([receipt.id, storage.ids.new()])) == [receipt]
        with pytest.raises(NotFound, match="this receipt does not exist"):
            tx.receipts.get(storage.ids.new())


def test_the_same_content_is_one_receipt(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant("Quay Books")
    first = kept(storage, actor)
    with storage.writing(actor) as tx:
        assert tx.receipts.add(a_receipt(storage.ids.new(), actor, filename="again.png")) == first
    assert kept(storage, other).id != first.id, "another tenant's is another"


def test_what_a_receipt_says_changes_by_version(storage: Storage) -> None:
    actor = storage.tenant()
    receipt = kept(storage, actor)
    changed = replace(receipt, said=Said(merchant="Aldi"), by_person=("merchant",), state=ReceiptState.READ)
    with storage.writing(actor) as tx:
        tx.receipts.update(changed)
    with storage.reading(actor) as tx:
        assert tx.receipts.get(receipt.id) == replace(changed, version=2)
        with pytest.raises(VersionMismatch):
            tx.receipts.update(changed)
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.receipts.update(a_receipt(storage.ids.new(), actor, 9))


def test_receipts_are_listed_newest_first_by_what_they_say(storage: Storage) -> None:
    actor = storage.tenant()
    record = storage.record(actor)
    first = kept(storage, actor, 1, Said(amount=Decimal(5), currency="EUR", day=DAY, merchant="Bäckerei Ähre"))
    second = kept(storage, actor, 2, Said(amount=Decimal(50), currency="USD", day=DAY + timedelta(days=9)))
    third = kept(storage, actor, 3, Said())
    decide(storage, actor, second.id, record, MatchState.LINKED)

    def listed(before: UUID | None = None, limit: int = 9, **where: object) -> list[UUID]:
        with storage.reading(actor) as tx:
            found = tx.receipts.list(ReceiptFilter(**where), before=before, limit=limit)  # type: ignore[arg-type]
        return [receipt.id for receipt in found]

    assert listed() == [third.id, second.id, first.id]
    assert listed(limit=1) == [third.id]
    assert listed(before=third.id, limit=1) == [second.id]
    assert listed(matched=True) == [second.id]
    assert listed(matched=False) == [third.id, first.id]
    assert listed(since=DAY, until=DAY) == [first.id]
    assert listed(min_amount=Decimal(5), max_amount=Decimal(49)) == [first.id]
    assert listed(currency="USD") == [second.id]
    assert listed(text="ÄHRE") == [first.id]
    assert listed(text="RECEIPT-2") == [second.id]


def test_candidates_are_near_by_amount_and_day(storage: Storage) -> None:
    actor = storage.tenant()
    receipt = kept(storage, actor)
    near = {
        "exact": a_draft("exact"),
        "given back": a_draft("given back", amount=Decimal("12.50")),
        "with a tip": a_draft("tip", amount=Decimal("-14.00")),
        "booked late": a_draft("late", occurred_at=DAY + timedelta(days=14)),
        "other currency": a_draft("usd", currency="USD"),
    }
    far = {
        "double": a_draft("double", amount=Decimal("-25")),
        "half": a_draft("half", amount=Decimal("-6.25")),
        "weeks later": a_draft("later", occurred_at=DAY + timedelta(days=15)),
        "days before": a_draft("before", occurred_at=DAY - timedelta(days=4)),
        "without an amount": a_draft("none", amount=None, currency=None),
    }
    stored = storage.store(actor, [*near.values(), *far.values()]).inserted
    with storage.reading(actor) as tx:
        found = tx.receipts.candidates(windows(receipt), 20)
        nearest = tx.receipts.candidates(windows(receipt), 2)
    assert [c.record_id for c in found] == list(stored[: len(near)])
    assert (found[0].amount, found[0].currency, found[0].day, found[0].text) == (
        Decimal("-12.50"), "EUR", DAY, "REWE Markt 1234",
    )  # fmt: skip
    assert [c.record_id for c in nearest] == [stored[0], stored[1]]


def test_candidates_of_what_arrived_are_those_of_receipts_that_it_may_be_of(storage: Storage) -> None:
    actor = storage.tenant()
    receipt, other = kept(storage, actor), kept(storage, actor, 2, Said(amount=Decimal(99), day=DAY))
    before = storage.record(actor, "before")
    storage.record(actor, "dear", amount=Decimal(-99))
    imported = storage.ids.new()
    new = storage.store(actor, [a_draft("new"), a_draft("newer")], import_id=imported).inserted
    with storage.reading(actor) as tx:

        def found(first: UUID, last: UUID, import_id: UUID = imported) -> set[tuple[UUID, UUID]]:
            arrived = Arrived(import_id=import_id, first=first, last=last)
            looked = tx.receipts.candidates(windows(receipt, other), 20, arrived)
            return {(c.receipt_id, c.record_id) for c in looked}

        assert found(*new) == {(receipt.id, id) for id in (before, *new)}, "with what was there, for comparison"
        assert found(new[0], new[0]) == found(*new)
        assert found(before, before) == set()
        assert found(*new, storage.ids.new()) == set()


def test_open_receipts_are_those_with_an_amount_and_no_record(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant("Quay Books")
    record = storage.record(actor)

    def waiting() -> list[UUID]:
        with storage.reading(actor) as tx:
            found = [receipt.id for receipt in tx.receipts.open(after=None, limit=9)]
            assert tx.receipts.any_open() == bool(found)
        return found

    kept(storage, other)
    kept(storage, actor, 1, Said(day=DAY))
    assert waiting() == []
    second, third = kept(storage, actor, 2), kept(storage, actor, 3)
    assert waiting() == [second.id, third.id]
    with storage.reading(actor) as tx:
        assert [receipt.id for receipt in tx.receipts.open(after=second.id, limit=9)] == [third.id]
        assert [receipt.id for receipt in tx.receipts.open(after=None, limit=1)] == [second.id]
    decide(storage, actor, second.id, record, MatchState.LINKED)
    decide(storage, actor, third.id, record, MatchState.REJECTED)
    assert waiting() == [third.id]


def test_suggestions_take_the_place_of_former_ones_and_of_no_persons_word(storage: Storage) -> None:
    actor = storage.tenant()
    receipt = kept(storage, actor)
    first, second, third, fourth = storage.store(actor, [a_draft(str(n)) for n in range(4)]).inserted
    gone = storage.ids.new()
    with storage.writing(actor) as tx:
        tx.receipts.suggest({receipt.id: {first: 0.5, second: 0.25, third: 0.125, gone: 0.9}})
    decide(storage, actor, receipt.id, third, MatchState.REJECTED)
    with storage.writing(actor) as tx:
        tx.receipts.suggest({receipt.id: {second: 0.75, third: 0.9, fourth: 0.5}})
    assert suggested(storage, actor, receipt.id) == {second: 0.75, fourth: 0.5}
    with storage.reading(actor) as tx:
        assert list(tx.receipts.matches(receipt.id, [MatchState.REJECTED])) == [
            Match(
                receipt_id=receipt.id,
                record_id=third,
                state=MatchState.REJECTED,
                score=0.125,
                decided_by="reviewer",
                decided_at=START,
            )
        ]
        assert third not in {c.record_id for c in tx.receipts.candidates(windows(receipt), 20)}
    with storage.writing(actor) as tx:
        tx.receipts.suggest({receipt.id: {}, storage.ids.new(): {first: 0.5}})
    assert suggested(storage, actor, receipt.id) == {}


def test_a_receipt_of_a_record_is_suggested_for_no_other(storage: Storage) -> None:
    actor = storage.tenant()
    receipt = kept(storage, actor)
    first, second, third = storage.store(actor, [a_draft(str(n)) for n in range(3)]).inserted
    with storage.writing(actor) as tx:
        tx.receipts.suggest({receipt.id: {first: 0.5, second: 0.25}})
    before = decide(storage, actor, receipt.id, first, MatchState.LINKED)
    assert before is not None
    assert (before.state, before.score) == (MatchState.SUGGESTED, 0.5)
    assert decide(storage, actor, receipt.id, third, MatchState.LINKED) is None
    assert suggested(storage, actor, receipt.id) == {}
    with storage.writing(actor) as tx:
        tx.receipts.suggest({receipt.id: {second: 0.25}})
        assert tx.receipts.get(receipt.id).links == 2
    assert suggested(storage, actor, receipt.id) == {}
    with storage.reading(actor) as tx, pytest.raises(Invalid, match="this record does not exist"):
        tx.receipts.decide(receipt.id, storage.ids.new(), MatchState.LINKED, by="reviewer", at=START)


def test_records_have_their_receipts_and_the_likeliest_suggestions(storage: Storage) -> None:
    actor = storage.tenant()
    first, second, third = storage.store(actor, [a_draft(str(n)) for n in range(3)]).inserted
    a, b, c, d = (kept(storage, actor, n) for n in range(1, 5))
    with storage.writing(actor) as tx:
        tx.receipts.suggest({a.id: {first: 0.2}, b.id: {first: 0.4, second: 0.3}, c.id: {first: 0.3}})
    decide(storage, actor, d.id, first, MatchState.LINKED)
    with storage.reading(actor) as tx:
        found = tx.receipts.of_records([first, second, third], 2)
        assert tx.receipts.of_records([], 2) == {}
    shown = {
        id: [(one.match.receipt_id, one.match.state.value, one.match.score) for one in mine]
        for id, mine in found.items()
    }
    assert shown == {
        first: [(d.id, "linked", None), (b.id, "suggested", 0.4), (c.id, "suggested", 0.3)],
        second: [(b.id, "suggested", 0.3)],
    }
    assert (found[first][1].filename, found[first][1].said) == (b.filename, b.said)


def test_receipts_have_the_records_that_they_are_of_or_may_be_of(storage: Storage) -> None:
    actor = storage.tenant()
    first, second, third = storage.store(actor, [a_draft(str(n)) for n in range(3)]).inserted
    open_one, linked, rejected, bare = (kept(storage, actor, n) for n in range(1, 5))
    with storage.writing(actor) as tx:
        tx.receipts.suggest({open_one.id: {first: 0.2, second: 0.5, third: 0.1}, linked.id: {first: 0.4, second: 0.3}})
    for record in (second, first):
        decide(storage, actor, linked.id, record, MatchState.LINKED)
    decide(storage, actor, rejected.id, first, MatchState.REJECTED)
    with storage.reading(actor) as tx:
        found = tx.receipts.matches_of([bare.id, rejected.id, linked.id, open_one.id], 2)
        assert tx.receipts.matches_of([], 2) == {}
    shown = {id: [(one.record_id, one.state.value, one.score) for one in mine] for id, mine in found.items()}
    assert shown == {
        open_one.id: [(second, "suggested", 0.5), (first, "suggested", 0.2)],
        linked.id: [(second, "linked", 0.3), (first, "linked", None)],
    }
    with storage.reading(storage.tenant("Quay Books")) as tx:
        assert tx.receipts.matches_of([linked.id, open_one.id], 2) == {}


@pytest.mark.parametrize("way", ["delete", "expire", "undo"])
def test_a_record_that_goes_leaves_its_receipts(storage: Storage, way: str) -> None:
    actor = storage.tenant()
    receipt, other, imported = kept(storage, actor), kept(storage, actor, 2), storage.ids.new()
    (record,) = storage.store(actor, [a_draft()], import_id=imported).inserted
    stays = storage.record(actor, "stays", occurred_at=DAY + timedelta(days=1))
    for id in (record, stays):
        decide(storage, actor, receipt.id, id, MatchState.LINKED)
    decide(storage, actor, other.id, record, MatchState.LINKED)
    with storage.writing(actor) as tx:
        assert not tx.receipts.unlinked()
        if way == "delete":
            tx.records.delete(record, None)
        elif way == "expire":
            tx.records.expire(DAY + timedelta(days=1), after=None, limit=9)
        else:
            tx.records.undo_import(imported)
        assert tx.receipts.unlinked()
    with storage.reading(actor) as tx:
        assert (tx.receipts.get(receipt.id).links, tx.receipts.get(other.id).links) == (1, 0)
        assert [match.record_id for match in tx.receipts.matches(receipt.id, [MatchState.LINKED])] == [stays]
        assert tx.receipts.any_open()


def test_a_deleted_receipt_is_gone_with_what_it_was_matched_with(storage: Storage) -> None:
    actor = storage.tenant()
    record, receipt = storage.record(actor), kept(storage, actor)
    decide(storage, actor, receipt.id, record, MatchState.LINKED)
    with storage.reading(actor) as tx, pytest.raises(VersionMismatch):
        tx.receipts.delete(receipt.id, 2)
    with storage.writing(actor) as tx:
        assert tx.receipts.delete(receipt.id, 1) == replace(receipt, links=1)
    with storage.reading(actor) as tx:
        assert tx.receipts.of_records([record], 9) == {}
        with pytest.raises(NotFound):
            tx.receipts.delete(receipt.id, None)
    assert kept(storage, actor).id != receipt.id, "and may come again"


def test_old_receipts_of_no_record_expire(storage: Storage) -> None:
    actor = storage.tenant()
    record = storage.record(actor)
    old, linked, new = kept(storage, actor, 1), kept(storage, actor, 2), a_receipt(storage.ids.new(), actor, 3)
    with storage.writing(actor) as tx:
        tx.receipts.add(replace(new, uploaded_at=START + timedelta(days=2)))
    decide(storage, actor, linked.id, record, MatchState.LINKED)
    with storage.writing(actor) as tx:
        assert list(tx.receipts.expire(START, 9)) == []
        assert [receipt.id for receipt in tx.receipts.expire(START + timedelta(days=1), 9)] == [old.id]
        assert [receipt.id for receipt in tx.receipts.list(ReceiptFilter(), before=None, limit=9)] == [
            new.id,
            linked.id,
        ]


def test_tenants_have_their_own_receipts(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant("Quay Books")
    receipt, record = kept(storage, actor), storage.record(actor)
    theirs = storage.record(other)
    with storage.reading(other) as tx:
        assert list(tx.receipts.list(ReceiptFilter(), before=None, limit=9)) == []
        assert list(tx.receipts.get_many([receipt.id])) == []
        assert [c.record_id for c in tx.receipts.candidates(windows(receipt), 9)] == [theirs]
        assert tx.receipts.of_records([record], 9) == {}
        with pytest.raises(NotFound):
            tx.receipts.delete(receipt.id, None)
    with storage.reading(actor) as tx:
        assert [c.record_id for c in tx.receipts.candidates(windows(receipt), 9)] == [record]
