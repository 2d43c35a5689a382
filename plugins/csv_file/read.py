"""Rows → drafts: the hot path. What can be decided once per file is decided before the first row."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import BinaryIO

from core.domain.amount_texts import currency_of
from core.errors import UnreadableFile
from plugins.csv_file.balances import Balances
from plugins.csv_file.columns import SIGNS
from plugins.csv_file.layout import Layout, Roles, find_layout
from plugins.csv_file.table import stream_rows
from plugins.statements import shortened
from sortation import Batch, Context, Draft, ReadRequest, Refusal

_PENDING = frozenset({
    "pending", "authorised", "authorized", "reserved", "unbooked", "open", "vorgemerkt", "offen", "reserviert",
    "nicht gebucht", "en attente", "en cours", "à venir", "pendiente", "in sospeso", "in attesa", "in behandeling",
    "gereserveerd", "true", "yes", "1",
})  # fmt: skip
_SUMMARIES = (
    "total",
    "sum",
    "saldo",
    "balance",
    "solde",
    "kontostand",
    "endsaldo",
    "anfangssaldo",
    "opening",
    "closing",
)
_MAX_CACHE = 50_000
_FULL_SAMPLE = 1 << 16

Money = tuple[Decimal | None, str | None]
AmountOf = Callable[[list[str]], tuple[Decimal, str | None]]


class CsvFile:
    """The connector of CSV files; its configuration is described by the manifest's schema."""

    def detect(self, sample: bytes, filename: str) -> float:
        if sample.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[", b"<"):
            return 0.0
        if len(sample) >= _FULL_SAMPLE:  # it may end within a character
            sample = sample[: len(sample) // 4 * 4] if b"\0" in sample else sample[: sample.rfind(b"\n") + 1] or sample
        try:
            return find_layout(io.BytesIO(sample), {}, "EUR").confidence
        except UnreadableFile:
            named = filename.lower().endswith((".csv", ".tsv"))
            return 0.35 if named and b"\0" not in sample[:1024] else 0.0

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        if request.file is None:
            raise UnreadableFile("a CSV connection reads a file, and there is none")
        layout = find_layout(request.file, ctx.config, ctx.default_currency)
        return _batches(request.file, layout, request.batch_size)


def _batches(file: BinaryIO, layout: Layout, size: int) -> Iterator[Batch]:
    draft_of = _draft_maker(layout)
    balances = Balances(layout) if layout.roles.balance is not None else None
    header = layout.table.header
    width = len(header)
    drafts: list[Draft] = []
    refusals: list[Refusal] = []
    ended = layout.table.skip_lines
    for line, row in stream_rows(file, layout.table):
        first, ended = ended + 1, line
        try:
            if row is None:
                raise ValueError("a quote is opened here and never closed")
            if len(row) != width:
                if not any(row):
                    continue
                row = _fitted(row, width)
            if "\0" in "".join(row):
                raise ValueError("a NUL character")
            drafts.append(draft := draft_of(row))
            if balances:
                balances.add(draft, row)
        except ValueError as error:
            if row is not None and not any(map(str.strip, row)):
                continue
            reason = _reason(row or [], header, str(error))
            if ended > first:
                reason += f" (lines {first} to {ended} are one row, by their quotes)"
            refusals.append(Refusal(position=first, reason=shortened(reason)))
        if len(drafts) + len(refusals) >= size:
            yield Batch(drafts=tuple(drafts), refusals=tuple(refusals))
            drafts, refusals = [], []
    statements = tuple(balances.statements()) if balances else ()
    if drafts or refusals or statements:
        yield Batch(drafts=tuple(drafts), refusals=tuple(refusals), statements=statements)


def _fitted(row: list[str], width: int) -> list[str]:
    """The row without empty cells past the header; raises `ValueError` when it has too few or too many."""
    if len(row) < width or any(cell.strip() for cell in row[width:]):
        raise ValueError(f"{len(row)} columns where the header has {width}")
    return row[:width]


def _reason(row: Sequence[str], header: Sequence[str], error: str) -> str:
    cells = [" ".join(cell.split()) for cell in row]
    if cells == list(header)[: len(cells)]:
        return "the header again"
    first = next((cell for cell in cells if cell), "").casefold()
    if first.startswith(_SUMMARIES):
        return f"a summary, not a transaction: {error}"
    return error


def _draft_maker(layout: Layout) -> Callable[[list[str]], Draft]:
    """The function from one row of the header's width to its draft; it raises `ValueError` with the reason."""
    header, attributes, parse_date = layout.table.header, layout.attributes, layout.parse_date
    roles = layout.roles
    date_at, account_at, id_at, category_at, pending_at = (
        roles.date, roles.account, roles.external_id, roles.category, roles.pending
    )  # fmt: skip
    money_of, text_of, party_of = _money_reader(layout), _joined(roles.text), _party_reader(roles)
    days: dict[str, date | datetime] = {}
    ids: set[int] = set()

    def draft_of(row: list[str]) -> Draft:
        cell = row[date_at]
        day = days.get(cell)
        if day is None:
            day = parse_date(cell)
            if len(days) < _MAX_CACHE:
                days[cell] = day
        amount, currency = money_of(row)
        text, party = text_of(row), party_of(row, amount)
        if not text and not party:
            raise ValueError("nothing says what this is")
        account = "" if account_at is None else row[account_at].strip()
        external_id = None if id_at is None else row[id_at].strip() or None
        if external_id is not None:
            known = len(ids)
            ids.add(hash((account, external_id)))
            if len(ids) == known:
                raise ValueError(f"the id {external_id!r} occurs before in this file")
        return Draft(
            text=text or party,
            occurred_at=day,
            account=account,
            external_id=external_id,
            counterparty=party,
            amount=amount,
            currency=currency,
            attributes={key: value for key, at in attributes if (value := row[at].strip())},
            raw=dict(zip(header, row, strict=True)),
            pending=pending_at is not None and row[pending_at].strip().casefold() in _PENDING,
            category=None if category_at is None else row[category_at].strip() or None,
        )

    return draft_of


def _joined(columns: tuple[int, ...]) -> Callable[[list[str]], str]:
    if len(columns) == 1:
        (only,) = columns
        return lambda row: row[only].strip()
    return lambda row: " ".join(dict.fromkeys(part for at in columns if (part := row[at].strip())))


def _party_reader(roles: Roles) -> Callable[[list[str], Decimal | None], str]:
    payees, payers = roles.payees, roles.payers
    if len(payees) < 2 and payees == payers:
        name_of = _joined(payees)
        return lambda row, _: name_of(row)

    def party_of(row: list[str], amount: Decimal | None) -> str:
        columns = payees if amount is None or amount < 0 else payers
        return next((name for at in columns if (name := row[at].strip())), "")

    return party_of


def _money_reader(layout: Layout) -> Callable[[list[str]], Money]:
    """The function from a row to its signed amount and currency; (None, None) where the table has no amounts."""
    roles = layout.roles
    if roles.amount is not None and roles.indicator is not None:
        amount_of = _by_indicator(layout, roles.amount, roles.indicator)
    elif roles.amount is not None:
        amount_of = _signed(layout, roles.amount)
    elif roles.money:
        amount_of = _by_pair(layout, roles.debit, roles.credit)
    else:
        return lambda _: (None, None)
    default, currency_at = layout.default_currency, roles.currency
    if currency_at is None:

        def with_default(row: list[str]) -> Money:
            amount, named = amount_of(row)
            return amount, named or default

        return with_default

    codes: dict[str, str] = {"": ""}

    def with_column(row: list[str]) -> Money:
        amount, named = amount_of(row)
        cell = row[currency_at]
        code = codes.get(cell)
        if code is None:
            code = currency_of(cell, default) if cell.strip() else ""
            if len(codes) < _MAX_CACHE:
                codes[cell] = code
        return amount, code or named or default

    return with_column


def _signed(layout: Layout, at: int) -> AmountOf:
    parse = layout.parse_money
    return lambda row: parse(row[at])


def _by_indicator(layout: Layout, at: int, indicator: int) -> AmountOf:
    parse = layout.parse_money

    def amount_of(row: list[str]) -> tuple[Decimal, str | None]:
        amount, named = parse(row[at])
        sign = SIGNS.get(row[indicator].strip().casefold())
        if sign is None:
            raise ValueError(f"{row[indicator]!r} says neither debit nor credit")
        return amount * sign, named

    return amount_of


def _by_pair(layout: Layout, debit_at: int | None, credit_at: int | None) -> AmountOf:
    parse, debit_sign = layout.parse_money, layout.debit_sign

    def amount_of(row: list[str]) -> tuple[Decimal, str | None]:
        debit = row[debit_at].strip() if debit_at is not None else ""
        credit = row[credit_at].strip() if credit_at is not None else ""
        if not debit and not credit:
            raise ValueError("neither debit nor credit has an amount")
        received, named = parse(credit) if credit else (Decimal(0), None)
        if not debit:
            return received, named
        spent, named_too = parse(debit)
        return received + spent * debit_sign, named or named_too

    return amount_of
