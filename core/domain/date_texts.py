"""Dates as people write them: which of day and month comes first is decided over many of them, never one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

from core.errors import UnreadableFile

ParseDate = Callable[[str], date | datetime]

_TIME = r"(?:[T ,]\s*(?P<time>\d.*))?"
_NUMERIC = re.compile(r"(\d{1,4})([./-])\s?(\d{1,2})\2\s?(\d{4}|\d{1,2})" + _TIME, re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_DAY_NAMED = re.compile(
    r"(?:[^\W\d_]+\.?,? )?(\d{1,2})(?:st|nd|rd|th|\.)?[ /.-]*([^\W\d_]+)\.?[ /.,-]*(\d{4}|\d\d)" + _TIME
)
_NAMED_DAY = re.compile(r"([^\W\d_]+)\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})" + _TIME)
_CLOCK = re.compile(
    r"(\d{1,2})[:.h](\d\d)(?:[:.](\d\d)(?:[.,](\d{1,9}))?)?\s*([AaPp]\.?[Mm]\.?)?\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janner janvier janv enero ene gennaio gen januari",
            "feb february februar fevrier fevr fev febrero febbraio februari",
            "mar march marz mrz mars marzo maart mrt",
            "apr april avril avr abril abr aprile",
            "may mai mayo maggio mag mei",
            "jun june juni juin junio giugno giu",
            "jul july juli juillet juil julio luglio lug",
            "aug august aout agosto ago augustus",
            "sep sept september septembre septiembre settembre set",
            "oct october oktober okt octobre octubre ottobre ott",
            "nov november novembre noviembre",
            "dec december dezember dez decembre diciembre dic dicembre",
        ),
        start=1,
    )
    for name in names.split()
}
_ACCENTS = str.maketrans("äéèêûúóá", "aeeeuuoa")


def parse_date(cell: str, day_first: bool) -> date | datetime:
    """The day that `cell` names; an aware instant where it names a time with a zone.

    A time without a zone is left out: the calendar day is all that is sure. Raises `ValueError`.
    """
    text = cell.strip()
    if match := _NUMERIC.fullmatch(text):
        first, second, third = match[1], match[3], match[4]
        if len(first) == 4:
            year, month, day = first, second, third
        else:
            day, month = (first, second) if day_first else (second, first)
            year = third
    elif match := _COMPACT.fullmatch(text):
        year, month, day = match.groups()
    elif match := _DAY_NAMED.fullmatch(text):
        day, month, year = match[1], _month(match[2]), match[3]
    elif match := _NAMED_DAY.fullmatch(text):
        day, month, year = match[2], _month(match[1]), match[3]
    else:
        raise ValueError(f"{cell!r} is not a date" if text else "the date is empty")
    if len(year) not in (2, 4) or len(day) > 2:
        raise ValueError(f"{cell!r} is not a date")
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < 70 else 1900
    try:
        found = date(number, int(month), int(day))
    except ValueError as error:
        raise ValueError(f"{cell!r} is not a date: {error}") from None
    time = match.groupdict().get("time")
    return _at(found, time, cell) if time else found


def _month(name: str) -> str:
    number = _MONTHS.get(name.casefold().translate(_ACCENTS))
    if number is None:
        raise ValueError(f"{name!r} is no month")
    return str(number)


def _at(day: date, time: str, cell: str) -> date | datetime:
    match = _CLOCK.fullmatch(time.strip())
    if not match:
        raise ValueError(f"{cell!r} has no readable time")
    hour, minute, second, fraction, half, zone = match.groups()
    if not zone:
        return day
    hours = int(hour) % 12 + (12 if half[0] in "pP" else 0) if half else int(hour)
    offset = UTC
    if zone[0] in "+-":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        offset = timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))
    micro = int((fraction or "").ljust(6, "0")[:6])
    return datetime(day.year, day.month, day.day, hours, int(minute), int(second or 0), micro, tzinfo=offset)


def is_date(cell: str) -> bool:
    """Whether `cell` is a date in one order or the other."""
    for day_first in (True, False):
        try:
            parse_date(cell, day_first)
        except ValueError:
            continue
        return True
    return False


def order_matters(cells: Iterable[str]) -> bool:
    """Whether any of `cells` is read differently by whether the day or the month comes first."""
    return any((m := _NUMERIC.fullmatch(cell.strip())) and len(m[1]) < 4 for cell in cells)


def day_comes_first(cells: Iterable[str], hint: bool | None) -> bool:
    """Decides, over all dates of a column in the file's order, whether the day precedes the month.

    A number above 12 proves it; else the reading in which the rows are in time order; else dots, then `hint`.
    Raises `UnreadableFile` when the rows contradict each other or nothing decides.
    """
    proof: dict[bool, str] = {}
    seen: dict[str, tuple[int, int, int]] = {}
    dotted = False
    for cell in cells:
        match = _NUMERIC.fullmatch(cell.strip())
        if cell in seen or not match or len(match[1]) == 4:
            continue
        first, second = int(match[1]), int(match[3])
        seen[cell] = (int(match[4]), first, second)
        dotted = dotted or match[2] == "."
        if first > 12 >= second:
            proof.setdefault(True, cell.strip()[:40])
        elif second > 12 >= first:
            proof.setdefault(False, cell.strip()[:40])
    if len(proof) == 2:
        raise UnreadableFile(
            f"the dates contradict each other: {proof[True]!r} has the day first, {proof[False]!r} the month; "
            "set date_format"
        )
    if proof:
        return True in proof
    ordered = _sorted_when_day_first(list(seen.values()))
    if dotted or not seen:
        return True
    if ordered is not None:
        return ordered
    if hint is None:
        raise UnreadableFile(
            f"the date {next(iter(seen)).strip()[:40]!r} can be read day first or month first, and no row decides it; "
            "set date_format, such as %d/%m/%Y"
        )
    return hint


def _sorted_when_day_first(dates: list[tuple[int, int, int]]) -> bool | None:
    """Whether (year, first, second) are in time order only day first (True) or month first (False)."""

    def in_order(keys: list[tuple[int, int, int]]) -> bool:
        return all(a <= b for a, b in pairwise(keys)) or all(a >= b for a, b in pairwise(keys))

    by_day = in_order([(year, second, first) for year, first, second in dates])
    by_month = in_order(dates)
    return None if by_day == by_month else by_day


def by_format(date_format: str) -> ParseDate:
    """A parser for one `strptime` format; what has a zone (%z) is an instant, all else a day."""

    def parse(cell: str) -> date | datetime:
        try:
            found = datetime.strptime(cell.strip(), date_format)  # noqa: DTZ007 (without a zone only its day is used)
        except ValueError:
            raise ValueError(f"{cell!r} is not a date like {date_format}") from None
        return found if found.tzinfo else found.date()

    return parse
