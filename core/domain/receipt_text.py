"""What a receipt says, found in its text: the total and its currency, the day, and who was paid.

Rules of thumb in English, German, French, Spanish, Italian and Dutch. What they find is shown to people, who may say
otherwise; what they are not sure of is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.domain.amount_texts import SYMBOLS, currency_of, decimal_mark, mark_if_grouped, money_parser
from core.domain.date_texts import day_comes_first, parse_date
from core.domain.receipts import FORBIDDEN, MAX_MERCHANT, Said
from core.domain.records import MAX_AMOUNT, clean_text
from core.errors import UnreadableFile

MAX_LINES = 5_000
MAX_LINE = 500
_MARKS = "|".join(sorted(map(re.escape, (m for m in SYMBOLS if not m.isalpha())), key=len, reverse=True))
_CODES = "EUR|USD|GBP|CHF|JPY|AUD|CAD|NZD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|INR|CNY|BRL|MXN|SGD|HKD|ZAR|ILS|UAH"
_CURRENCY = rf"(?:{_MARKS}|(?<![^\W\d_])(?:{_CODES}|kr|euros?)(?![^\W\d_])|zł|Kč)"
_AMOUNT = re.compile(
    rf"(?:(?P<before>{_CURRENCY})\s?|(?<![\w.,/:-]))(?P<body>-?\d{{1,3}}(?:[.,'’ ]\d{{3}})+(?:[.,]\d{{2}})?"
    rf"|-?\d{{1,12}}(?:[.,]\d{{2}})?)(?![\d%:/]|[.,-]\d)\s?(?P<after>{_CURRENCY})?"
)
_DATE = re.compile(
    r"(?<![\w./-])(?:\d{4}-\d\d-\d\d|\d{1,2}([./-])\s?\d{1,2}\1\s?(?:\d{4}|\d\d)|\d{4}([./])\d{1,2}\2\d{1,2}"
    r"|\d{1,2}(?:st|nd|rd|th|\.)?[ -][^\W\d_]{3,10}\.?,?[ -]\d{4}|[^\W\d_]{3,10}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4})"
    r"(?![\w/-]|\.\d)"
)
_TOTAL = re.compile(
    r"\b(amount due|total due|balance due|grand total|amount paid|total paid|amount charged|order total|invoice total|"
    r"gesamtbetrag|gesamtsumme|rechnungsbetrag|zahlbetrag|endbetrag|endsumme|zu zahlen|total ttc|montant ttc|"
    r"net [aà] payer|montant total|importe total|total a pagar|totale (?:da pagare|complessivo)|te betalen|"
    r"totaalbedrag)\b",
    re.IGNORECASE,
)
_SUM = re.compile(r"\b(total|summe|gesamt|betrag|amount|montant|importe|totale|totaal)\b", re.IGNORECASE)
_PART = re.compile(
    r"\b(sub-?\s?total|zwischensumme|netto(?:betrag|summe)?|net(?: amount)?|total ht|montant ht|mwst|ust|vat|"
    r"tax(?:es)?|tva|iva|btw|tip|trinkgeld|discount|rabatt|savings?|saved|gespart|points?|punkte|items?|artikel|articles|"
    r"refund(?:ed)?|change|r[uü]ckgeld|sous-total)\b",
    re.IGNORECASE,
)
_GROSS = re.compile(r"\b(incl|inkl|inc|brutto|gross|ttc)\b", re.IGNORECASE)
"""A line that names a tax and one of these is of the whole."""
_DAY = re.compile(
    r"\b(invoice date|date of issue|order date|receipt date|rechnungsdatum|belegdatum|kaufdatum|bestelldatum|datum|"
    r"date|fecha|data)\b",
    re.IGNORECASE,
)
_OTHER_DAY = re.compile(
    r"\b(due|f[aä]llig\w*|zahlbar|deliver\w*|liefer\w*|leistungs\w*|expir\w*|valid|g[uü]ltig\w*|birth|[eé]ch[eé]ance|"
    r"vencimiento|scadenza|vervaldatum|period|zeitraum)\b",
    re.IGNORECASE,
)
_NO_NAME = re.compile(
    r"@|https?:|www\.|\b(invoice|receipt|rechnung|quittung|beleg|kassenbon|facture|re[cç]u|factura|recibo|fattura|"
    r"ricevuta|factuur|kassabon|bestellung|order|page|seite|date|datum|tel|phone|fax|kunde|customer|bill to|thank|"
    r"danke|hello|hallo|hi|dear|bonjour|merci)\b",
    re.IGNORECASE,
)
_LETTERS = re.compile(r"[^\W\d_]{3}")
_NEXT = 2
"""Lines after the word for the total in which its amount may stand, as columns are read one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Amount:
    value: Decimal
    currency: str | None


def what_it_says(text: str, default_currency: str) -> Said:
    """`default_currency` is what a mark of several currencies means, if it is one of them."""
    lines = [clean_text(FORBIDDEN.sub(" ", line[:MAX_LINE])) for line in text.splitlines()[:MAX_LINES]]
    lines = [line for line in lines if line]
    mark = _mark(lines)
    amount = None if mark is None else _total(lines, mark, default_currency)
    currency = amount.currency if amount is not None else None
    return Said(
        amount=amount.value if amount is not None else None,
        currency=currency or _only_currency(lines, default_currency),
        day=_day(lines, currency or default_currency),
        merchant=_merchant(lines),
    )


def _mark(lines: list[str]) -> str | None:
    """The decimal mark that the amounts prove, those of a currency alone if there are any; None where they may be read
    in several ways."""
    found = [match for line in lines for match in _AMOUNT.finditer(_without_dates(line))]
    marked = [match["body"] for match in found if match["before"] or match["after"]]
    bodies = marked or [match["body"] for match in found]
    try:
        return decimal_mark(bodies) or mark_if_grouped(bodies)
    except UnreadableFile:  # now a dot and now a comma before three digits
        return None


def _total(lines: list[str], mark: str, default_currency: str) -> _Amount | None:
    """What stands by the surest word for it, the last such; else the largest amount with a currency."""
    for sure in (_TOTAL, _SUM):
        named = [n for n, line in enumerate(lines) if sure.search(line) and not _is_part(line, sure)]
        for n in reversed(named):
            for line in (_behind(lines[n], sure), *lines[n + 1 : n + 1 + _NEXT]):
                if found := list(_amounts(line, mark, default_currency)):
                    return found[-1] if line is not lines[n] and len(found) == 1 else _surest(found)
    marked = [a for line in lines if not _PART.search(line) for a in _amounts(line, mark, default_currency)]
    return max((a for a in marked if a.currency is not None), key=lambda a: a.value, default=None)


def _is_part(line: str, sure: re.Pattern[str]) -> bool:
    return sure is _SUM and _PART.search(line) is not None and _GROSS.search(line) is None


def _behind(line: str, sure: re.Pattern[str]) -> str:
    """What follows the word for the total, or what is before it where nothing does."""
    *_, last = sure.finditer(line)
    return line[last.end() :] if _AMOUNT.search(line, last.end()) else line[: last.start()]


def _surest(found: list[_Amount]) -> _Amount:
    """The last that names a currency, else the last."""
    return next((a for a in reversed(found) if a.currency is not None), found[-1])


def _amounts(line: str, mark: str, default_currency: str) -> Iterator[_Amount]:
    parse = money_parser(mark, default_currency)
    for match in _AMOUNT.finditer(_without_dates(line)):
        name = match["before"] or match["after"]
        body = match["body"]
        if name is None and mark not in body:
            continue  # a number of something
        try:
            value, _ = parse(body)
        except ValueError:
            continue
        if abs(value) < MAX_AMOUNT:
            yield _Amount(value=abs(value), currency=_named(name, default_currency))


def _named(name: str | None, default_currency: str) -> str | None:
    """None for a mark that may be of several currencies."""
    try:
        return None if name is None else currency_of(name, default_currency)
    except ValueError:
        return None


def _only_currency(lines: list[str], default_currency: str) -> str | None:
    """That of all amounts that name one."""
    matches = (match for line in lines for match in _AMOUNT.finditer(_without_dates(line)))
    found = {_named(match["before"] or match["after"], default_currency) for match in matches} - {None}
    return found.pop() if len(found) == 1 else None


def _day(lines: list[str], currency: str) -> date | None:
    """The one by a word for it, else the first."""
    written = [(line, match[0]) for line in lines for match in _DATE.finditer(line)]
    try:
        day_first = day_comes_first([cell for _, cell in written], currency != "USD")
    except UnreadableFile:  # one has the day first and another the month
        return None
    days = [(line, day) for line, cell in written if (day := _parsed(cell, day_first)) is not None]
    others = [(line, day) for line, day in days if not _OTHER_DAY.search(line)]
    named = [day for line, day in others if _DAY.search(line)]
    return next(iter(named or [day for _, day in others] or [day for _, day in days]), None)


def _parsed(cell: str, day_first: bool) -> date | None:
    try:
        found = parse_date(cell, day_first)
    except ValueError:
        return None
    day = found.date() if isinstance(found, datetime) else found
    return day if 1990 <= day.year <= 2100 else None


def _merchant(lines: list[str]) -> str | None:
    """The first line that may be a name."""
    for line in lines[:15]:
        if _LETTERS.search(line) and not any(other.search(line) for other in (_NO_NAME, _SUM, _TOTAL, _DATE)):
            return line[:MAX_MERCHANT].strip()
    return None


def _without_dates(line: str) -> str:
    return _DATE.sub(" ", line)
