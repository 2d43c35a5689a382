"""Records and histories for rule types: ordinary ones, and the oddest that can be stored."""

from __future__ import annotations

import pkgutil
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from core.domain.records import Sortable, occurred_on
from core.domain.rule_history import MAX_AMOUNTS, MAX_PAST, Past
from ports.connectors import CompiledRule

_UTC = ZoneInfo("UTC")
CONNECTION = UUID(int=1 << 64)
_FIRST_ID = UUID(int=1)
ODD_TEXTS = (
    "",
    " ",
    "\x01\x02\x1b[31m\x7f\x85",
    "line one\nline two\r\n\ttabbed",
    "\u202eright to left\u202c شركة الكهرباء חשמל",
    "e\u0301" * 300,
    "\u200b\u200d\ufeff",
    "👩‍👩‍👧‍👦 " * 50,
    "\U0010ffff\ufffd\ue000",
    "İstanbul ŞTİ ßẞ ﬁﬂ ǅ",
    "((((([a-z]+)*)*)*$\\",
    "%s {0} {x!r} $(id) '; DROP TABLE records; --",
    "null",
    "0",
    "a" * 4_000,
    "word " * 799,
    "2026-02-30",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRecord:
    """A record as a rule type sees it (`sortation.Sortable`), for examples; `category` is what a person gave it, by its
    key, and stays unseen but by asking the history."""

    text: str = "Corner shop"
    id: UUID = _FIRST_ID
    connection_id: UUID = CONNECTION
    kind: str = "transaction"
    account: str = "Checking"
    occurred_at: date | datetime = date(2026, 3, 2)
    counterparty: str = ""
    amount: Decimal | None = Decimal("-12.50")
    currency: str | None = "EUR"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    category: str | None = None


def ordinary() -> Iterator[SampleRecord]:
    """A year of an ordinary tenant: rents, salaries, subscriptions, shops, and some that are unlike the others."""
    number = 0
    for month in range(1, 13):
        for party, amount, day in (
            ("Rent Ltd", "-700.00", 1),
            ("Employer Inc", "2500.00", 28),
            ("Streams", "-9.99", 14),
            ("Corner shop", f"-{10 + month}.{month:02d}", month),
            ("", f"-{month * month}.00", 20),
        ):
            number += 1
            unusual = month == 9 and party == "Streams"
            yield SampleRecord(
                id=UUID(int=number),
                text=f"{party or 'CARD 4417'} {month:02d}/2026",
                counterparty=party,
                occurred_at=date(2026, month, day) if number % 2 else datetime(2026, month, day, 23, 30, tzinfo=UTC),
                amount=Decimal("-990.00") if unusual else Decimal(amount),
                currency="GBP" if party == "Streams" else "EUR",
                attributes={"month": month},
                category=f"{party.split()[0].casefold()}.any" if party and month % 4 else None,
            )


def odd() -> Iterator[SampleRecord]:
    """What no rule type expects and every tenant may have: no amounts, extreme ones, texts that are hardly any."""
    number = 1_000
    for text in ODD_TEXTS:
        record = SampleRecord(id=UUID(int=number), text=text or "x", counterparty=text[:512])
        yield record
        yield replace(record, id=UUID(int=number + 1), amount=None, currency=None)
        number += 2
    extremes: tuple[dict[str, Any], ...] = (
        {"amount": Decimal(0)},
        {"amount": Decimal("-0.00")},
        {"amount": Decimal(10) ** 24 - Decimal("0.000000000001")},
        {"amount": -(Decimal(10) ** 24 - 1)},
        {"amount": Decimal("0.000000000001")},
        {"amount": Decimal("1E+3")},
        {"occurred_at": date(1900, 1, 1)},
        {"occurred_at": date(2200, 12, 31)},
        {"occurred_at": datetime(2200, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)},
        {"occurred_at": date(2024, 2, 29)},
        {"text": ""},
        {"kind": "ticket", "amount": None, "currency": None, "account": ""},
        {"currency": "XXX"},
        {"attributes": {"a": {"b": [1, None, {"c": "\u202e"}]}, "": None, "n" * 500: [[]] * 50}},
    )
    for changes in extremes:
        number += 1
        yield replace(SampleRecord(id=UUID(int=number)), **changes)


def many(count: int) -> list[SampleRecord]:
    """Ordinary records again and again, each with an id of its own and a text that most others have not."""
    base = list(ordinary())
    return [
        replace(base[n % len(base)], id=UUID(int=10_000 + n), text=f"{base[n % len(base)].text} {n // 7}")
        for n in range(count)
    ]


class SampleHistory:
    """What a tenant with these records would be told (`sortation.History`), in UTC. Remembers what it was asked."""

    def __init__(self, records: Sequence[SampleRecord] = ()) -> None:
        self.asked: list[tuple[str, object]] = []
        self._by_party: dict[str, list[Past]] = defaultdict(list)
        self._amounts: dict[tuple[str, str], list[tuple[date, Decimal]]] = defaultdict(list)
        for record in records:
            day = _day(record)
            past = Past(record.id, day, record.amount, record.currency, record.category)
            self._by_party[_party(record)].append(past)
            if record.category and record.amount is not None and record.currency:
                self._amounts[record.category, record.currency].append((day, record.amount))
        for pasts in self._by_party.values():
            pasts.sort(key=lambda past: (past.day, past.id))

    def days(self, records: Sequence[Sortable]) -> Sequence[date]:
        self.asked.append(("days", ""))
        return [_day(record) for record in records]

    def of_party(self, records: Sequence[Sortable]) -> Sequence[Sequence[Past]]:
        self.asked.append(("of_party", ""))
        return [self._past(record) for record in records]

    def amounts(self, category: str, currency: str) -> Sequence[Decimal]:
        self.asked.append(("amounts", (category, currency)))
        latest = sorted(self._amounts.get((category, currency), ()), key=lambda entry: entry[0], reverse=True)
        return [amount for _, amount in latest[:MAX_AMOUNTS]]

    def _past(self, record: Sortable) -> list[Past]:
        pasts = self._by_party.get(_party(record), [])
        upto = bisect_right(pasts, _day(record), key=lambda past: past.day)
        latest = pasts[max(0, upto - MAX_PAST - 1) : upto]
        return [past for past in reversed(latest) if past.id != record.id][:MAX_PAST]


def verdicts_of(factory: str, params: Sequence[Mapping[str, Any]]) -> list[list[bool | None]]:
    """What a rule type says of the kit's own records, with each of the parameters."""
    records = [*ordinary(), *odd()]
    made = pkgutil.resolve_name(factory)()
    compiled: list[CompiledRule] = [made.compile(dict(given)) for given in params]
    return [list(rule.evaluate(records, SampleHistory(records))) for rule in compiled]


def _day(record: Sortable) -> date:
    return occurred_on(record.occurred_at, _UTC)


def _party(record: Sortable) -> str:
    return record.counterparty or record.text
