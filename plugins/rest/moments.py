"""Days and instants as sources write them, and as they want to be asked."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import ConfigInvalid

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_OF_DAYS = re.compile(r"%[HIcXspf]")
"""Directives of strptime that a pattern of instants has, and one of days has not."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Format:
    """How moments are written: `iso`, `date` (a day as ISO 8601 has it), `unix` and `unix_ms` (since 1970, in UTC), or
    a pattern of strptime. What names no zone is meant in `zone`. Raises `ConfigInvalid` for a zone that is none."""

    def __init__(self, name: str, zone: str, place: str) -> None:
        self.name = name
        self._pattern = name if "%" in name else ""
        try:
            self.zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigInvalid(f"{place}.zone: {zone!r} is no time zone such as Europe/Berlin") from None

    def parse(self, value: Any) -> date | datetime:
        """Raises `ValueError` with the reason."""
        if self.name in ("unix", "unix_ms"):
            return self._counted(value)
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise ValueError(f"the time {value!r} is no text")
        text = str(value).strip()
        try:
            if self._pattern:
                found = datetime.strptime(text, self._pattern)  # noqa: DTZ007
                return self._zoned(found) if _OF_DAYS.search(self._pattern) else found.date()
            if self.name == "date" or _DAY.fullmatch(text):
                return date.fromisoformat(text[:10])
            return self._zoned(datetime.fromisoformat(text))
        except ValueError:
            raise ValueError(f"the time {text!r} is not written as {self.name}") from None

    def write(self, instant: datetime) -> str:
        """Never later than `instant`: fractions of the unit that the format has are cut off."""
        if self.name in ("unix", "unix_ms"):
            unit = timedelta(seconds=1) if self.name == "unix" else timedelta(milliseconds=1)
            return str((instant - _EPOCH) // unit)
        if self.name == "iso":
            return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return instant.astimezone(self.zone).strftime(self._pattern or "%Y-%m-%d")

    def instant(self, moment: date | datetime) -> datetime:
        """A day's beginning in `zone`."""
        if isinstance(moment, datetime):
            return moment
        return datetime(moment.year, moment.month, moment.day, tzinfo=self.zone)

    def _counted(self, value: Any) -> datetime:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise ValueError(f"the time {value!r} is no number")
        try:
            count = Decimal(value)
            micros = int(count * (1_000_000 if self.name == "unix" else 1_000))
            return _EPOCH + timedelta(microseconds=micros)
        except (InvalidOperation, OverflowError, ValueError):
            raise ValueError(f"the time {value!r} is no number of {self.name}") from None

    def _zoned(self, found: datetime) -> datetime:
        return found if found.tzinfo is not None else found.replace(tzinfo=self.zone)
