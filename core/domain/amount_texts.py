"""Amounts as people write them: `1.234,56`, `1,234.56`, `1 234,56`, `1'234.56`, `(12.00)`, `12,00-`, `5.00 CR`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal

from core.errors import UnreadableFile

ParseMoney = Callable[[str], tuple[Decimal, str | None]]
"""A cell → the signed amount, and the currency (ISO 4217) that the cell itself names, or None."""

_GAP = " '’\u00a0\u202f\u2009"
_MINUS = str.maketrans({"−": "-", "–": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'"})
_SHAPE = {
    mark: re.compile(
        rf"(?:[0-9]+|[0-9]{{1,3}}(?P<gap>[{_GAP}{other}])[0-9]{{3}}(?:(?P=gap)[0-9]{{3}})*"
        rf"{'|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}' if other == ',' else ''})"
        rf"(?:[{mark}][0-9]*)?|[{mark}][0-9]+"
    )
    for mark, other in ((".", ","), (",", "."))
}
_PLAIN = {".": re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?"), ",": re.compile(r"[+-]?[0-9]+(?:,[0-9]+)?")}
_AROUND = re.compile(r"^([^0-9.,]*)(.*?)([^0-9.,]*)$", re.DOTALL)
_DIGITS = re.compile(rf"[0-9][0-9.,{_GAP}]*")
_CODE = re.compile(r"[A-Z]{3}")
SYMBOLS = {"€": "EUR", "£": "GBP", "$": "USD", "US$": "USD", "A$": "AUD", "C$": "CAD", "CA$": "CAD", "¥": "JPY",
           "₹": "INR", "zł": "PLN", "Kč": "CZK", "Fr.": "CHF", "SFr.": "CHF", "₺": "TRY", "₽": "RUB", "₩": "KRW",
           "R$": "BRL", "₪": "ILS", "₴": "UAH", "euro": "EUR", "euros": "EUR"}  # fmt: skip
_SHARED = {
    "$": ("USD", "AUD", "CAD", "NZD", "SGD", "HKD", "MXN"),
    "¥": ("JPY", "CNY"),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
}
_SIDES = {"CR": 1, "C": 1, "H": 1, "DR": -1, "D": -1, "S": -1}


def currency_of(name: str, default: str) -> str:
    """The ISO 4217 code that a code or symbol means; a symbol of several currencies means `default` if it is one.

    Raises `ValueError`.
    """
    name = name.strip()
    code = name.upper()
    if _CODE.fullmatch(code):
        return code
    shared = _SHARED.get(name.rstrip("."))
    if shared and default in shared:
        return default
    found = SYMBOLS.get(name) or SYMBOLS.get(name.casefold())
    if found is None:
        raise ValueError(f"{name!r} is not a currency")
    return found


def money_parser(mark: str, default_currency: str) -> ParseMoney:
    """A parser of amounts whose decimal mark is `mark`. It raises `ValueError` rather than guess at a grouping."""
    plain, shape = _PLAIN[mark].fullmatch, _SHAPE[mark].fullmatch
    drop = str.maketrans("", "", _GAP + ("," if mark == "." else "."))

    def full(cell: str) -> tuple[Decimal, str | None]:
        text = cell.translate(_MINUS).strip()
        negative = text.startswith("(") and text.endswith(")")
        if negative:
            text = text[1:-1].strip()
        match = _AROUND.match(text)
        before, body, after = match.groups() if match else ("", "", "")
        if not body or not shape(body):
            raise ValueError(f"{cell!r} is not an amount" if text else "the amount is empty")
        words = f"{before} {after}".replace("+", " ")
        if words.count("-") + negative > 1:
            raise ValueError(f"{cell!r} is not an amount")
        negative = negative or "-" in words
        currency = None
        for word in words.replace("-", " ").split():
            if word.upper() in _SIDES:
                negative = _SIDES[word.upper()] < 0
            elif currency is None:
                currency = currency_of(word, default_currency)
            else:
                raise ValueError(f"{cell!r} is not an amount")
        value = Decimal(body.translate(drop).replace(mark, "."))
        return (-value if negative and value else value), currency

    if mark == ".":
        return lambda cell: (Decimal(cell), None) if plain(cell) else full(cell)
    return lambda cell: (Decimal(cell.replace(",", ".")), None) if plain(cell) else full(cell)


def is_amount(cell: str) -> bool:
    """Whether `cell` is an amount with one decimal mark or the other."""
    for mark in _SHAPE:
        try:
            money_parser(mark, "EUR")(cell)
        except ValueError:
            continue
        return True
    return False


def decimal_mark(cells: Iterable[str], *, three_decimals: bool = False) -> str | None:
    """The decimal mark that most of `cells` prove; None when only such as `1.234` occur, which prove nothing.

    `three_decimals`: amounts are in a currency of thousandths, where those are decimals.
    """
    votes: Counter[str] = Counter()
    unsure = False
    for cell in cells:
        match = _DIGITS.search(cell)
        body = match[0] if match else ""
        last = max(body.rfind("."), body.rfind(","))
        if last < 0:
            continue
        mark, other = body[last], "," if body[last] == "." else "."
        whole, digits = body[:last], body[last + 1 :].strip(_GAP)
        if other in whole or any(gap in whole for gap in _GAP):
            votes[mark] += 1
        elif mark in whole:
            votes[other] += 1
        elif len(digits) != 3 or len(whole) > 3 or whole.startswith("0") or three_decimals:
            votes[mark] += 1
        else:
            unsure = True
    if votes:
        return votes.most_common(1)[0][0]
    return None if unsure else "."


def mark_if_grouped(cells: Iterable[str]) -> str:
    """The decimal mark when every mark in `cells` groups thousands; raises `UnreadableFile` when they differ."""
    marks = {mark for cell in cells for mark in ".," if mark in cell}
    if len(marks) > 1:
        raise UnreadableFile("the amounts have now a dot and now a comma before three digits: set decimal")
    return "," if marks == {"."} else "."
