"""How many records in a list there are of each value of each facet."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from core.domain.decisions import Stage
from core.domain.facets import FILTERED_BY, Facet, Facets
from core.domain.tenants import Actor
from ports.storage import RecordFilter
from tests.contract.storage import Storage, a_draft, asked, decided

DRAFTS: tuple[dict[str, Any], ...] = (
    {"currency": "EUR", "kind": "transaction", "occurred_at": date(2026, 1, 31)},
    {"currency": "EUR", "kind": "transaction", "occurred_at": date(2026, 2, 1)},
    {"currency": "USD", "kind": "transaction", "occurred_at": date(2026, 2, 2)},
    {"currency": None, "amount": None, "kind": "ticket", "occurred_at": date(2026, 2, 3), "text": "Printer"},
)


def filled(storage: Storage) -> Actor:
    """Two records that a rule decided, one that waits, and a ticket that nobody looked at."""
    actor = storage.tenant()
    food = storage.category(actor)
    ids = storage.store(actor, [a_draft(f"{n}", **fields) for n, fields in enumerate(DRAFTS)]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(ids[0], food), decided(ids[1], food), asked(ids[2])])
    return actor


def counted(storage: Storage, actor: Actor, most: int = 99, values: int = 99, **where: Any) -> Facets:
    with storage.reading(actor) as tx:
        return tx.records.facets(RecordFilter(**where), most=most, values=values)


def test_each_facet_is_counted_with_what_has_no_value(storage: Storage) -> None:
    actor = filled(storage)
    with storage.reading(actor) as tx:
        [food], [connection] = tx.categories.list(), tx.connections.list()
    found = counted(storage, actor)
    assert found.counts == {
        Facet.STATUS: {"processed": 2, "ingested": 1, "needs_review": 1},
        Facet.CATEGORY: {food.id: 2, None: 2},
        Facet.STAGE: {Stage.RULES: 2, None: 2},
        Facet.CONNECTION: {connection.id: 4},
        Facet.CURRENCY: {"EUR": 2, "USD": 1, None: 1},
        Facet.KIND: {"transaction": 3, "ticket": 1},
        Facet.MONTH: {"2026-02": 3, "2026-01": 1},
    }
    assert list(found.counts[Facet.STATUS]) == ["processed", "ingested", "needs_review"], "the commonest first"
    assert (found.seen, found.approximate, set(found.others.values())) == (4, False, {0})


def test_a_facet_is_counted_without_its_own_part_of_the_filter(storage: Storage) -> None:
    found = counted(storage, filled(storage), currency="EUR", since=date(2026, 2, 1))
    assert found.counts[Facet.CURRENCY] == {"EUR": 1, "USD": 1, None: 1}, "since February"
    assert found.counts[Facet.MONTH] == {"2026-01": 1, "2026-02": 1}, "in euros"
    assert found.counts[Facet.KIND] == {"transaction": 1}, "both"
    assert found.counts[Facet.STATUS] == {"processed": 1}


WHERE: tuple[dict[str, Any], ...] = (
    {},
    {"text": "rewe"},
    {"text": "nothing"},
    {"statuses": ("processed",), "kind": "transaction"},
    {"stage": "rules", "currency": "USD"},
    {"until": date(2026, 1, 31), "account": "giro"},
    {"min_amount": 0},
)


@pytest.mark.parametrize("where", WHERE, ids=str)
def test_every_count_is_how_many_the_list_has(storage: Storage, where: dict[str, Any]) -> None:
    """Each facet's, where the list is filtered by all but by what the facet is about."""
    actor = filled(storage)
    found = counted(storage, actor, **where)
    asked_for = RecordFilter(**where)
    with storage.reading(actor) as tx:
        for facet, names in FILTERED_BY.items():
            parts: dict[str, Any] = {name: () if name == "statuses" else None for name in names}
            without = replace(asked_for, **parts)
            assert sum(found.counts[facet].values()) == tx.records.count(without), facet
            if facet is Facet.KIND:
                for kind, n in found.counts[facet].items():
                    assert tx.records.count(replace(without, kind=str(kind))) == n


def test_of_very_many_the_newest_are_looked_at_and_the_commonest_told(storage: Storage) -> None:
    actor = filled(storage)
    found = counted(storage, actor, most=2)
    assert (found.seen, found.approximate) == (2, True)
    assert found.counts[Facet.CURRENCY] == {"USD": 1, None: 1}
    whole = counted(storage, actor, most=4, values=1)
    assert (whole.seen, whole.approximate) == (4, False)
    assert whole.counts[Facet.CURRENCY] == {"EUR": 2}
    assert whole.others[Facet.CURRENCY] == 2


def test_the_records_of_an_import_are_counted_alone(storage: Storage) -> None:
    actor = filled(storage)
    imported = storage.ids.new()
    storage.store(actor, [a_draft("new", kind="invoice")], import_id=imported)
    found = counted(storage, actor, most=1, import_id=imported)
    assert (found.counts[Facet.KIND], found.seen, found.approximate) == ({"invoice": 1}, 1, False)
    assert counted(storage, storage.tenant("Another")).counts[Facet.KIND] == {}
