"""Reports of amounts: by category and time, cash flow, counterparties, recurring payments, changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from core.domain.categories import Category, paths
from core.domain.recurrences import INTERVALS, Payment, series_in
from core.domain.report_money import Conversion, add, becomes, convert, rounded
from core.domain.report_rows import PartySum, Sum, check_rows
from core.domain.report_tables import (
    PERIOD,
    SHARE_DECIMALS,
    Column,
    ColumnKind,
    Table,
    Value,
    amount_of,
    counted,
    share_of,
)

UNSORTED = "(no category)"
_ZERO = Decimal(0)
CURRENCY = Column(key="currency", title="Currency")
RECORDS = counted("records", "Records")
_LEVEL = counted("level", "Level")


@dataclass(slots=True)
class Flow:
    """What adds up, exactly."""

    records: int = 0
    incoming: Decimal = _ZERO
    outgoing: Decimal = _ZERO

    def put(self, records: int, incoming: Decimal, outgoing: Decimal) -> None:
        self.records += records
        self.incoming = add(self.incoming, incoming)
        self.outgoing = add(self.outgoing, outgoing)

    @property
    def net(self) -> Decimal:
        return add(self.incoming, self.outgoing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """How amounts are told."""

    conversion: Conversion | None

    def told_in(self, currency: str | None) -> str | None:
        return becomes(currency, self.conversion)

    def put(self, flow: Flow, row: Sum | PartySum) -> None:
        incoming, outgoing = (convert(a, row.currency, self.conversion) for a in (row.incoming, row.outgoing))
        flow.put(row.records, incoming, outgoing)

    def tell(self, amount: Decimal, currency: str | None) -> Decimal | None:
        """None for what has no amount."""
        return None if currency is None else rounded(amount, currency, self.conversion)

    def tell_about(self, amount: Decimal, currency: str) -> Decimal:
        """Of what is an estimate: no more decimals than the currency has."""
        return rounded(amount, currency, Conversion(to=currency))


def category_table(sums: Iterable[Sum], categories: Sequence[Category], money: Money) -> Table:
    """By part of time, category and currency: what is in the category itself, and with all below it. Raises `Invalid`
    for very many rows, as all of these do."""
    tree = {category.id: category for category in categories}
    own: defaultdict[tuple[date | None, UUID | None, str | None], Flow] = defaultdict(Flow)
    whole: defaultdict[tuple[date | None, UUID | None, str | None], Flow] = defaultdict(Flow)
    for row in sums:
        currency = money.told_in(row.currency)
        money.put(own[row.part, row.category_id, currency], row)
        for id in _upwards(row.category_id, tree):
            money.put(whole[row.part, id, currency], row)
        check_rows(len(whole))
    names = _names(categories)

    def place(key: tuple[date | None, UUID | None, str | None]) -> tuple[date, tuple[str, ...], str, str]:
        part, id, currency = key
        return part or date.min, names[id], str(id or ""), currency or ""

    rows: list[Sequence[Value]] = []
    for key in sorted(whole, key=place):
        part, id, currency = key
        mine, below = own.get(key, Flow()), whole[key]
        rows.append(
            (
                part,
                " > ".join(names[id]) or UNSORTED,
                str(id) if id else None,
                _level(names[id]),
                currency,
                mine.records,
                money.tell(mine.net, currency),
                below.records,
                money.tell(below.incoming, currency),
                money.tell(below.outgoing, currency),
                money.tell(below.net, currency),
            )
        )
    columns = (
        PERIOD,
        Column(key="category", title="Category"),
        Column(key="category_id", title="Category id"),
        _LEVEL,
        CURRENCY,
        counted("own_records", "Records in it"),
        amount_of("own_amount", "Amount in it"),
        counted("records", "Records with those below"),
        amount_of("incoming", "In"),
        amount_of("outgoing", "Out"),
        amount_of("amount", "Amount with those below"),
    )
    return Table(key="categories", title="By category and time", columns=columns, rows=rows)


def cash_flow_table(sums: Iterable[Sum], parts: Sequence[date], money: Money) -> Table:
    """By currency and part of time, also those of `parts` without records: in, out, both, and what it adds up to since
    the period's begin."""
    found: defaultdict[str, dict[date, Flow]] = defaultdict(dict)
    for row in sums:
        currency = money.told_in(row.currency)
        if currency is not None and row.part is not None:
            money.put(found[currency].setdefault(row.part, Flow()), row)
    check_rows(len(parts) * len(found))
    rows: list[Sequence[Value]] = []
    for currency, flows in sorted(found.items()):
        running = _ZERO
        for part in parts or sorted(flows):
            flow = flows.get(part, Flow())
            running = add(running, flow.net)
            amounts = (flow.incoming, flow.outgoing, flow.net, running)
            rows.append((part, currency, flow.records, *(money.tell(amount, currency) for amount in amounts)))
    columns = (
        PERIOD,
        CURRENCY,
        RECORDS,
        amount_of("incoming", "In"),
        amount_of("outgoing", "Out"),
        amount_of("net", "Net"),
        amount_of("running", "Net since the beginning"),
    )
    return Table(key="cash_flow", title="Cash flow", columns=columns, rows=rows)


def party_table(sums: Iterable[PartySum], whole: Iterable[Sum], most: int, money: Money) -> Table:
    """Of each currency the `most` counterparties that most moved to or from, and their share of the whole that
    moved."""
    found: defaultdict[tuple[str, str | None], Flow] = defaultdict(Flow)
    days: dict[tuple[str, str | None], tuple[date, date]] = {}
    for row in sums:
        key = row.party, money.told_in(row.currency)
        money.put(found[key], row)
        first, last = days.get(key, (row.first, row.last))
        days[key] = min(first, row.first), max(last, row.last)
    moved = {key: add(flow.incoming, flow.outgoing.copy_negate()) for key, flow in found.items()}
    in_all: defaultdict[str | None, Flow] = defaultdict(Flow)
    for total in whole:
        money.put(in_all[money.told_in(total.currency)], total)
    rows: list[Sequence[Value]] = []
    for currency in sorted(in_all, key=lambda one: one or ""):
        of_currency = [key for key in found if key[1] == currency]
        all_moved = add(in_all[currency].incoming, in_all[currency].outgoing.copy_negate())
        # Without amounts how often they come is all there is.
        of_currency.sort(key=lambda key: (moved[key].copy_negate(), -found[key].records, key[0]))
        for rank, key in enumerate(of_currency[:most], start=1):
            flow = found[key]
            amounts = (flow.incoming, flow.outgoing, flow.net)
            share = round(float(moved[key] / all_moved), SHARE_DECIMALS) if all_moved else None
            told = (money.tell(amount, currency) for amount in amounts)
            rows.append((currency, rank, key[0], flow.records, *told, share, *days[key]))
    columns = (
        CURRENCY,
        counted("rank", "Rank"),
        Column(key="counterparty", title="Counterparty"),
        RECORDS,
        amount_of("incoming", "In"),
        amount_of("outgoing", "Out"),
        amount_of("net", "Net"),
        share_of("share", "Share of all that moved"),
        Column(key="first", title="First", kind=ColumnKind.DATE),
        Column(key="last", title="Last", kind=ColumnKind.DATE),
    )
    return Table(key="counterparties", title="Counterparties", columns=columns, rows=rows)


def recurring_table(
    payments: Iterable[tuple[str, str, Sequence[Payment]]], money: Money
) -> tuple[Table, list[tuple[str, Decimal]]]:
    """Out of each (party, currency, payments): the series among them, the dearest a year first; and what each of them
    comes to in a year, with its currency, exactly."""
    found: list[tuple[str, Decimal, str, tuple[Value, ...]]] = []
    for party, currency, paid in payments:
        told_in = money.told_in(currency) or currency
        for series in series_in(paid):
            each = convert(series.latest.amount, currency, money.conversion)
            a_year = each * INTERVALS[series.interval].a_year
            values = (
                party,
                series.interval,
                told_in,
                money.tell(each, told_in),
                money.tell_about(a_year, told_in),
                series.payments,
                series.since,
                series.latest.day,
                series.due,
            )
            found.append((told_in, a_year, party, values))
        check_rows(len(found))
    found.sort(key=lambda one: (one[0], one[1].copy_abs().copy_negate(), one[2], tuple(map(str, one[3]))))
    columns = (
        Column(key="counterparty", title="Counterparty"),
        Column(key="interval", title="Interval"),
        CURRENCY,
        amount_of("amount", "Latest amount"),
        amount_of("a_year", "In a year, about"),
        counted("payments", "Payments"),
        Column(key="since", title="Since", kind=ColumnKind.DATE),
        Column(key="latest", title="Latest", kind=ColumnKind.DATE),
        Column(key="due", title="Next due", kind=ColumnKind.DATE),
    )
    table = Table(key="recurring", title="Recurring payments", columns=columns, rows=[one[3] for one in found])
    return table, [(told_in, a_year) for told_in, a_year, _, _ in found]


def change_table(before: Iterable[Sum], now: Iterable[Sum], categories: Sequence[Category], money: Money) -> Table:
    """By category (with all below it) and currency: both periods and how they differ, what differs most first."""
    tree = {category.id: category for category in categories}
    found: defaultdict[tuple[UUID | None, str | None], tuple[Flow, Flow]] = defaultdict(lambda: (Flow(), Flow()))
    for place, sums in enumerate((before, now)):
        for row in sums:
            for id in _upwards(row.category_id, tree):
                money.put(found[id, money.told_in(row.currency)][place], row)
            check_rows(len(found))
    names = _names(categories)
    told: list[tuple[str, Decimal, tuple[str, ...], str, Sequence[Value]]] = []
    for (id, currency), (was, came) in found.items():
        change = add(came.net, was.net.copy_negate())
        share = round(float(change / abs(was.net)), SHARE_DECIMALS) if was.net else None
        values = (
            " > ".join(names[id]) or UNSORTED,
            str(id) if id else None,
            _level(names[id]),
            currency,
            was.records,
            money.tell(was.net, currency),
            came.records,
            money.tell(came.net, currency),
            money.tell(change, currency),
            share,
        )
        told.append((currency or "", change.copy_abs().copy_negate(), names[id], str(id or ""), values))
    columns = (
        Column(key="category", title="Category"),
        Column(key="category_id", title="Category id"),
        _LEVEL,
        CURRENCY,
        counted("records_before", "Records before"),
        amount_of("amount_before", "Amount before"),
        RECORDS,
        amount_of("amount", "Amount"),
        amount_of("change", "Change"),
        share_of("change_share", "Change as a share"),
    )
    return Table(key="changes", title="Changes by category", columns=columns, rows=[one[4] for one in sorted(told)])


def _upwards(id: UUID | None, tree: Mapping[UUID, Category]) -> list[UUID | None]:
    """The category and all above it; nothing is above no category."""
    found: list[UUID | None] = [id]
    while id is not None and (category := tree.get(id)) is not None and category.parent_id is not None:
        id = category.parent_id
        found.append(id)
    return found


def _level(names: tuple[str, ...]) -> int:
    """How many categories it is below; names tell nothing of that, since they may have anything in them."""
    return max(0, len(names) - 1)


def _names(categories: Sequence[Category]) -> dict[UUID | None, tuple[str, ...]]:
    """Each category's path, name by name, so that what is below stands under its own; what has none comes first."""
    by_id = {category.id: category for category in categories}
    found: dict[UUID | None, tuple[str, ...]] = {None: ()}
    for id in paths(categories):
        above = [by_id[one].name for one in _upwards(id, by_id) if one is not None]
        found[id] = tuple(reversed(above))
    return found
