"""What the columns of a file mean and how their cells are read: decided once, before the first row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from core.domain.amount_texts import ParseMoney, currency_of, decimal_mark, is_amount, mark_if_grouped, money_parser
from core.domain.date_texts import ParseDate, by_format, day_comes_first, is_date, order_matters, parse_date
from core.errors import UnreadableFile
from plugins.csv_file.columns import Columns, is_negative
from plugins.csv_file.headers import attribute_keys, profile_of
from plugins.csv_file.table import Table, find_table, stream_rows

_THOUSANDTHS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The columns (by index) that have a meaning.

    `payees` name the counterparty where money goes out, `payers` where it comes in: the first that is filled.
    """

    date: int
    amount: int | None
    debit: int | None
    credit: int | None
    indicator: int | None
    currency: int | None
    text: tuple[int, ...]
    payees: tuple[int, ...]
    payers: tuple[int, ...]
    account: int | None
    external_id: int | None
    category: int | None
    pending: int | None
    balance: int | None = None
    """What the account held after the row; it stays an attribute too."""

    @property
    def money(self) -> tuple[int, ...]:
        return tuple(at for at in (self.amount, self.debit, self.credit) if at is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A table, its columns' roles and parsers.

    `debit_sign` turns a debit cell into a signed amount; `default_currency` is that of rows which name none;
    `attributes` are (key, column) of what has no role. `confidence`: 0 to 1.
    """

    table: Table
    roles: Roles
    parse_date: ParseDate
    parse_money: ParseMoney
    debit_sign: int
    default_currency: str
    attributes: tuple[tuple[str, int], ...]
    confidence: float


def find_layout(file: BinaryIO, config: Mapping[str, Any], default_currency: str) -> Layout:
    """Reads what it takes of `file` to understand it; `config` decides before any guess.

    Raises `UnreadableFile` when there is no table, a mapped column is missing, no column is a date or none says what
    happened, or the dates or amounts can't be understood.
    """
    mapping = dict(config.get("mapping") or {})
    wanted = (name for names in mapping.values() for name in ([names] if isinstance(names, str) else names))
    table = find_table(
        file,
        encoding=config.get("encoding"),
        delimiter=config.get("delimiter"),
        skip_rows=config.get("skip_rows"),
        wanted=frozenset(name.strip().casefold() for name in wanted),
    )
    columns = Columns(table)
    given = by_format(config["date_format"]) if config.get("date_format") else None
    roles = _find_roles(columns, mapping, given, default_currency)
    default = config.get("currency") or columns.currency_of_headers(roles.money, default_currency)
    parse_date, parse_money = _find_parsers(file, columns, roles, config.get("decimal"), given, default)
    keys = attribute_keys(list(table.header))
    return Layout(
        table=table,
        roles=roles,
        parse_date=parse_date,
        parse_money=parse_money,
        debit_sign=_debit_sign(columns.cells(roles.debit)) if roles.debit is not None else -1,
        default_currency=default,
        attributes=tuple((key, at) for at, key in enumerate(keys) if at not in columns.used),
        confidence=0.5 if not roles.money else 0.6 if columns.guessed else 0.9,
    )


def _find_roles(columns: Columns, mapping: Mapping[str, Any], given: ParseDate | None, default_currency: str) -> Roles:
    """The mapping's columns first, then the best of what is left for each role, in the order of their weight."""
    money = {"amount", "debit", "credit"}
    known = profile_of(columns.table.header) if columns.table.titled else {}
    known = {role: name for role, name in known.items() if not (role in money and money & mapping.keys())}
    mapped = {role: columns.named(names, role) for role, names in {**known, **mapping}.items()}

    def find(role: str, test: Callable[[str], object] | None = None, *, guess: bool = False) -> int | None:
        return mapped[role][0] if mapped.get(role) else columns.pick(role, test, guess=guess)

    date = find("date", given or is_date, guess=True)
    if date is None:
        date = columns.pick("value_date", given or is_date)
    if date is None:
        raise UnreadableFile(f"no column is a date; there are: {columns}. Name it in the mapping")
    if mapped.keys() & {"amount", "debit", "credit"}:
        amount, debit, credit = ((mapped.get(role) or (None,))[0] for role in ("amount", "debit", "credit"))
    else:
        amount, debit, credit = columns.money()
    has_money = not amount is debit is credit is None
    currency = find("currency", lambda cell: currency_of(cell, default_currency)) if has_money else None
    payees = payers = mapped.get("counterparty", ())
    if not payees:
        payees, payers = columns.parties()
    text = mapped.get("text") or columns.every("text")
    if not text and not payees:
        text = columns.wordy()
    if not text and not payees:
        raise UnreadableFile(f"no column says what happened; there are: {columns}. Name it in the mapping")
    account = find("account")
    return Roles(
        date=date,
        amount=amount,
        debit=debit,
        credit=credit,
        indicator=columns.indicator(amount) if amount is not None else None,
        currency=currency,
        text=text,
        payees=payees,
        payers=payers,
        account=columns.pick("maybe_account", few=True) if account is None else account,
        external_id=mapped["external_id"][0] if "external_id" in mapped else columns.identifying(),
        category=find("category"),
        pending=mapped["pending"][0] if "pending" in mapped else columns.pick("pending", keep=True),
        balance=columns.pick("balance", is_amount, keep=True) if has_money else None,
    )


def _find_parsers(
    file: BinaryIO, columns: Columns, roles: Roles, mark: str | None, given: ParseDate | None, default: str
) -> tuple[ParseDate, ParseMoney]:
    """How dates and amounts are read: by the configuration, the sample, or (where that proves nothing) all rows."""
    codes = (set(columns.cells(roles.currency)) if roles.currency is not None else set()) or {default}
    if mark is None:
        amounts = [cell for at in roles.money for cell in columns.cells(at)]
        mark = decimal_mark(amounts, three_decimals=codes <= _THOUSANDTHS)
    unclear_money = roles.money if mark is None else ()
    unclear_dates = () if given or not order_matters(columns.cells(roles.date)) else (roles.date,)
    dates, amounts = _distinct_cells(file, columns.table, unclear_dates, unclear_money)
    if mark is None:
        mark = decimal_mark(amounts) or mark_if_grouped(amounts)
    if given is None:
        in_dollars = codes == {"USD"} and mark == "."
        given = _date_parser(not unclear_dates or day_comes_first(dates, hint=not in_dollars))
    return given, money_parser(mark, default)


def _distinct_cells(file: BinaryIO, table: Table, *groups: Sequence[int]) -> list[list[str]]:
    """What stands in each group of columns in the whole file, each once and in order; one pass, or none."""
    found: list[dict[str, None]] = [{} for _ in groups]
    width = len(table.header)
    rows: Iterable[tuple[int, list[str] | None]] = stream_rows(file, table) if any(groups) else ()
    for _, row in rows:
        if row is not None and len(row) >= width:
            for cells, group in zip(found, groups, strict=True):
                for at in group:
                    cells[row[at]] = None
    return [list(cells) for cells in found]


def _debit_sign(cells: list[str]) -> int:
    """1 where a bank already writes its debits negative, else -1."""
    filled = [cell for cell in cells if any(digit in cell for digit in "123456789")]
    return 1 if filled and all(is_negative(cell) for cell in filled) else -1


def _date_parser(day_first: bool) -> ParseDate:
    return lambda cell: parse_date(cell, day_first)
