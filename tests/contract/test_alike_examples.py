"""Examples that are like a record, counted by category."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from core.domain.approvals import group_key
from core.domain.evidence import AlikeExamples, EvidenceKind, Likeness, party_key
from core.domain.records import similarity_text, text_digest
from core.domain.tenants import Actor
from tests.contract.storage import Storage, a_draft, an_example

ALIKE, SAME, PARTY = EvidenceKind.ALIKE, EvidenceKind.SAME_TEXT, EvidenceKind.SAME_COUNTERPARTY


def teach(storage: Storage, actor: Actor, key: str, *texts: str, counterparty: str = "", month: int = 1) -> None:
    """Records that people decided, a day after another."""
    with storage.reading(actor) as tx:
        there = {c.key: c.id for c in tx.categories.list()}
    category = there.get(key) or storage.category(actor, key)
    for n, text in enumerate(texts, start=1):
        id = storage.record(
            actor, f"{key} {month} {n} {text}", text=text, counterparty=counterparty, occurred_at=date(2026, month, n)
        )
        with storage.writing(actor) as tx:
            record = tx.records.get(id)
            example = replace(
                an_example(storage.ids.new(), actor, category, id, similarity_text(text, counterparty)),
                group_key=group_key(record),
                party_key=party_key(counterparty),
            )
            tx.examples.put([example])


def likeness(storage: Storage, actor: Actor, text: str, counterparty: str = "") -> Likeness:
    record = storage.record(actor, f"new {text}", text=text, counterparty=counterparty)
    with storage.reading(actor) as tx:
        key = group_key(tx.records.get(record))
    return Likeness(record, key, party_key(counterparty), text_digest(similarity_text(text, counterparty)))


def test_alike_ones_are_counted_by_category_with_the_last_day(storage: Storage) -> None:
    actor = storage.tenant()
    teach(storage, actor, "food", "REWE 1", "REWE 2", "rewe  2")
    teach(storage, actor, "car", "REWE 3", "SHELL 1", month=2)
    teach(storage, actor, "rent", "Flat 1", "Flat 2", counterparty="Landlord")
    asked = [
        likeness(storage, actor, "REWE 2"),
        likeness(storage, actor, "Garage", "LANDLORD"),
        likeness(storage, actor, "Nobody knows"),
    ]
    with storage.reading(actor) as tx:
        ids = {c.key: c.id for c in tx.categories.list()}
        rewe, landlord, nobody = (set(found) for found in tx.examples.alike(asked, 9))
        assert list(tx.examples.alike([], 9)) == []
    assert rewe == {
        AlikeExamples(ALIKE, ids["food"], 3, date(2026, 1, 3)),
        AlikeExamples(SAME, ids["food"], 2, date(2026, 1, 3)),
        AlikeExamples(ALIKE, ids["car"], 1, date(2026, 2, 1)),
    }
    assert landlord == {AlikeExamples(PARTY, ids["rent"], 2, date(2026, 1, 2))}
    assert nobody == set()


def test_no_more_than_the_latest_are_looked_at(storage: Storage) -> None:
    actor = storage.tenant()
    teach(storage, actor, "food", "REWE 1", "REWE 2", "REWE 3", counterparty="Rewe")
    teach(storage, actor, "car", "REWE 4", month=2, counterparty="Rewe")
    asked = likeness(storage, actor, "REWE 9", "Rewe")
    with storage.reading(actor) as tx:
        ids = {c.key: c.id for c in tx.categories.list()}
        (few,), (all_of_them,) = tx.examples.alike([asked], 2), tx.examples.alike([asked], 4)
    assert {(e.kind, e.category_id, e.examples, e.more) for e in few} == {
        (kind, ids[key], 1, True) for kind in (ALIKE, PARTY) for key in ("food", "car")
    }
    assert {(e.kind, e.category_id, e.examples, e.more) for e in all_of_them} == {
        (kind, ids[key], n, False) for kind in (ALIKE, PARTY) for key, n in (("food", 3), ("car", 1))
    }


def test_a_record_is_not_like_itself_and_history_counts_as_what_was_answered(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    drafts = [a_draft(f"{n}", text=f"REWE {n}", category="food", occurred_at=date(2026, 3, n)) for n in (1, 2)]
    first, _ = storage.store(actor, drafts, categories={"food": food}).inserted
    with storage.reading(actor) as tx:
        record = tx.records.get(first)
        asked = Likeness(first, group_key(record), "", text_digest(record.text))
        assert list(tx.examples.alike([asked], 9)[0]) == [AlikeExamples(ALIKE, food, 1, date(2026, 3, 2))]
    with storage.writing(actor) as tx:
        tx.examples.forget([record.id])
        other = asked._replace(record_id=storage.ids.new())
        assert [e.examples for e in tx.examples.alike([other], 9)[0]] == [1], "one that was taken back is gone"


def test_what_is_common_lately(storage: Storage) -> None:
    actor = storage.tenant()
    teach(storage, actor, "food", "a", "b", "c")
    teach(storage, actor, "car", "d", "e")
    with storage.reading(actor) as tx:
        ids = {c.key: c.id for c in tx.categories.list()}
        assert list(tx.examples.common(9)) == [ids["food"], ids["car"]]
        assert list(tx.examples.common(3)) == [ids["car"], ids["food"]]
