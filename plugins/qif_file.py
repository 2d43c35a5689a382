"""QIF files: what Quicken made, and what banks and other programs still export.

QIF names no currency, no decimal mark and no order of day and month: they are decided over the whole file, as in CSV
files. Own code, since the library `quiffen` decides them line by line (it reads 25/3 and 1/2 of one file in two orders,
and 1.234,56 as 1.23456) and gives up a whole file for one date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from core.domain.amount_texts import ParseMoney, decimal_mark, mark_if_grouped, money_parser
from core.domain.date_texts import ParseDate, by_format, day_comes_first, parse_date
from plugins.statements import Item, batched, decoded, lines_of, read_whole, readable
from sortation import Batch, ConnectorManifest, Context, Draft, ReadRequest, Refusal, UnreadableFile, hookimpl

MAX_BYTES = 16 << 20
MAX_ENTRIES = 200_000
MAX_SPLITS = 1_000
MAX_ADDRESS = 512
_HEAD = re.compile(rb"\s*!(?:type|account|option|clear)\b", re.IGNORECASE)
_BANKING = frozenset({"bank", "ccard", "cash", "oth a", "oth l"})
_INVESTING = frozenset({"invst", "port"})
_DATE = re.compile(r"([0-9]{1,4})\s*([/.-])\s*([0-9]{1,2})\s*([/.'-])\s*([0-9]{1,4})")
_ITEMS = "S$E%"
"""The fields of a split; each `S` begins another."""
_OUT = frozenset({"buy", "buyx", "cvrshrt", "margint", "margintx", "miscexp", "miscexpx", "xout", "withdrwx"})
_IN = frozenset(
    {"sell", "sellx", "shtsell", "div", "divx", "intinc", "intincx", "cglong", "cglongx", "cgshort", "cgshortx"}
    | {"miscinc", "miscincx", "rtrncap", "rtrncapx", "xin", "contribx"}
)
"""Investment actions by which way money goes; all others move securities alone."""

CONFIG_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "description": "All of it is optional: what is left out is detected from the file.",
    "properties": {
        "date_format": {
            "type": "string",
            "description": "As strptime takes it. Without it the dates must show whether the day or the month "
            "comes first; where they do not, the month does in US dollars, and the day in all else.",
            "examples": ["%d/%m/%Y", "%m/%d/%y"],
        },
        "decimal": {"type": "string", "enum": [".", ","], "description": "The decimal mark of the amounts."},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 code: QIF names none."},
        "account": {"type": "string", "maxLength": 512, "description": "The account, where the file names none."},
    },
}


@dataclass(slots=True)
class _Entry:
    """One entry, as it stands in the file: the first line of each letter (more of `A` joined), and its splits."""

    at: int
    account: str
    section: str
    fields: dict[str, str] = field(default_factory=dict)
    splits: list[dict[str, str]] = field(default_factory=list)

    def add(self, letter: str, value: str) -> None:
        if letter not in _ITEMS:
            known = self.fields.get(letter)
            more = known and letter == "A" and len(known) < MAX_ADDRESS
            self.fields[letter] = f"{known} {value}" if more else known or value
        elif letter == "S" or not self.splits:
            if len(self.splits) <= MAX_SPLITS:
                self.splits.append({letter: value})
        else:
            self.splits[-1].setdefault(letter, value)

    @property
    def amounts(self) -> Iterator[str]:
        yield from (self.fields[letter] for letter in "TU" if letter in self.fields)
        yield from (split["$"] for split in self.splits if "$" in split)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notation:
    day_of: ParseDate
    money_of: ParseMoney
    currency: str


class QifFile:
    """The connector of QIF files; its configuration is described by the manifest's schema."""

    def detect(self, sample: bytes, filename: str) -> float:
        if _HEAD.match(sample[:4096].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")):
            return 0.98
        return 0.35 if filename.lower().endswith(".qif") else 0.0

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        text = decoded(read_whole(request.file, MAX_BYTES)).replace("\0", "")
        entries = _entries(text, ctx.config.get("account", ""))
        notation = _notation(entries, ctx.config, ctx.default_currency)
        return batched(readable(_items(entries, notation)), request.batch_size)


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="qif",
            version="1.0.0",
            title="QIF file",
            factory="plugins.qif_file:QifFile",
            config_schema=CONFIG_SCHEMA,
            file_extensions=(".qif",),
        )
    ]


def _entries(text: str, account: str) -> list[_Entry]:
    """The entries of all accounts; lists of categories, securities and the like are left out."""
    if not _HEAD.match(text[:4096].encode()):
        raise UnreadableFile("this is no QIF file: it does not begin with !Type or !Account")
    found: list[_Entry] = []
    sections: dict[str, None] = {}
    section = ""
    current: _Entry | None = None
    for number, line in enumerate(lines_of(text), start=1):
        letter, value = line[:1], line[1:].strip()
        if letter == "!":
            section, current = _section(value), None
            sections[section] = None
        elif letter == "^":
            if current and section == "account":
                account = current.fields.get("N", account)
            current = None
        elif line.strip() and section:
            if current is None:
                current = _Entry(number, account, section)
                if section in _BANKING | _INVESTING:
                    found.append(current)
                    if len(found) > MAX_ENTRIES:
                        raise UnreadableFile(f"the file has more than {MAX_ENTRIES:,} entries: export a shorter time")
            current.add(letter.upper(), value)
    if not sections.keys() & (_BANKING | _INVESTING):
        others = ", ".join(name for name in sections if name not in ("", "account")) or "nothing"
        raise UnreadableFile(f"the file has no account's transactions, only: {others[:200]}")
    return found


def _section(header: str) -> str:
    """`type:Oth A` gives `oth a`; what switches an option is no section."""
    kind, _, name = header.partition(":")
    kind, name = kind.strip().lower(), " ".join(name.lower().split())
    return name if kind == "type" else "account" if kind == "account" else ""


def _notation(entries: Sequence[_Entry], config: Mapping[str, str], default_currency: str) -> _Notation:
    currency = config.get("currency") or default_currency
    amounts = [cell for entry in entries for cell in entry.amounts]
    mark = config.get("decimal") or decimal_mark(amounts) or mark_if_grouped(amounts)
    if config.get("date_format"):
        day_of = by_format(config["date_format"])
    else:
        days = [_normal(entry.fields.get("D", "")) for entry in entries]
        day_first = day_comes_first(days, hint=not (currency == "USD" and mark == "."))

        def day_of(cell: str) -> date | datetime:
            return parse_date(_normal(cell), day_first)

    return _Notation(day_of=day_of, money_of=money_parser(mark, currency), currency=currency)


def _normal(day: str) -> str:
    """`1/ 5' 6` as `1/5/2006`: with an apostrophe Quicken means a year of this century."""
    match = _DATE.fullmatch(day.strip())
    if not match:
        return day
    first, mark, second, before_year, year = match.groups()
    if before_year == "'" and len(year) < 3:
        year = str(2000 + int(year))
    return f"{first}{mark}{second}{mark}{year}"


def _items(entries: Sequence[_Entry], notation: _Notation) -> Iterator[Item]:
    for entry in entries:
        try:
            if entry.section in _INVESTING:
                yield _investment(entry, notation)
            elif not _is_opening(entry):
                yield from _banking(entry, notation)
        except ValueError as error:
            yield Refusal(position=entry.at, reason=str(error))


def _is_opening(entry: _Entry) -> bool:
    """What an account began with: Quicken writes it as a transfer of the account to itself."""
    named = entry.fields.get("L", "") == f"[{entry.account}]" and bool(entry.account)
    return named or entry.fields.get("P", "").casefold() == "opening balance"


def _banking(entry: _Entry, notation: _Notation) -> Iterator[Draft]:
    """One draft, or one for each split where they make up the amount: each has a category of its own."""
    fields = entry.fields
    amount, currency = _amount(entry, notation)
    payee, memo = fields.get("P", ""), fields.get("M", "")
    whole = Draft(
        text=_text(payee, memo, fields.get("N", "")),
        occurred_at=_day(entry, notation),
        account=entry.account,
        counterparty=payee,
        amount=amount,
        currency=currency,
        attributes=_attributes({"number": fields.get("N"), "cleared": fields.get("C"), "address": fields.get("A")}),
        raw=dict(fields),
    )
    shares = _shares(entry, amount, notation)
    if not shares:
        yield _sorted(whole, fields.get("L", ""))
    for number, (split, share) in enumerate(shares, start=1):
        part = Draft(
            text=_text(payee, split.get("E") or memo, fields.get("N", "")),
            occurred_at=whole.occurred_at,
            account=whole.account,
            counterparty=payee,
            amount=share,
            currency=currency,
            attributes={**whole.attributes, "split": f"{number}/{len(shares)}", "split_of": f"{amount:f}"},
            raw={**whole.raw, **{f"split {letter}": value for letter, value in split.items()}},
        )
        yield _sorted(part, split.get("S", ""))


def _shares(entry: _Entry, amount: Decimal, notation: _Notation) -> list[tuple[dict[str, str], Decimal]]:
    """The splits with their amounts, if there are several and together they are the entry; else none."""
    try:
        shares = [(split, notation.money_of(split.get("$", ""))[0]) for split in entry.splits]
    except ValueError:
        return []
    return shares if len(shares) > 1 and sum(share for _, share in shares) == amount else []


def _sorted(draft: Draft, named: str) -> Draft:
    """The draft with what `L` names: `Food:Groceries/class` is a category, `[Savings]` the other account."""
    category, _, label = named.partition("/")
    attributes = dict(draft.attributes)
    if category.startswith("["):
        attributes["transfer_account"], category = category.strip("[]"), ""
    if label:
        attributes["class"] = label
    path = " > ".join(part.strip() for part in category.split(":") if part.strip())
    return replace(draft, attributes=attributes, category=path or None)


def _investment(entry: _Entry, notation: _Notation) -> Draft:
    """A purchase, sale or income; amounts in QIF have no sign there, the action tells it."""
    fields = entry.fields
    action, security = fields.get("N", ""), fields.get("Y", "")
    sign = -1 if action.lower() in _OUT else 1 if action.lower() in _IN else 0
    amount, currency = _amount(entry, notation) if sign and any(entry.amounts) else (None, None)
    return Draft(
        kind="investment",
        text=" ".join(part for part in (action, security, fields.get("P", ""), fields.get("M", "")) if part),
        occurred_at=_day(entry, notation),
        account=entry.account,
        amount=None if amount is None else abs(amount) * sign,
        currency=currency,
        attributes=_attributes(
            {
                "type": action,
                "security": security,
                "units": fields.get("Q"),
                "unit_price": fields.get("I"),
                "commission": fields.get("O"),
            }
        ),
        raw=dict(fields),
    )


def _day(entry: _Entry, notation: _Notation) -> date | datetime:
    return notation.day_of(entry.fields.get("D", ""))


def _amount(entry: _Entry, notation: _Notation) -> tuple[Decimal, str]:
    amount, named = notation.money_of(next(iter(entry.amounts), ""))
    return amount, named or notation.currency


def _text(payee: str, memo: str, number: str) -> str:
    text = memo if memo.casefold().startswith(payee.casefold()) else f"{payee} {memo}"
    return text.strip() or number


def _attributes(found: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in found.items() if value}
