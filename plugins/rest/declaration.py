"""A connection's configuration, read: which streams there are, and how each is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from plugins.rest.fields import Fields
from plugins.rest.moments import Format
from plugins.rest.pages import Pagination
from plugins.rest.paths import Condition, Path
from plugins.rest.schema import DEFAULT_OVERLAP, DEFAULT_PAGES
from sortation import ConfigInvalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stream:
    name: str
    url: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    records: Path
    pagination: Pagination
    max_pages: int
    incremental: Incremental | None
    deleted: Condition | None
    fields: Fields
    identity: str
    """Changes when what is asked for does: a cursor is good for one identity."""


class Incremental:
    """What rises with each change of an object. Marks are numbers: the field's own, or seconds since 1970."""

    def __init__(self, given: Mapping[str, Any], place: str) -> None:
        self._path = Path(given["path"], f"{place}.path")
        self.param: str = given["param"]
        self._is_number = given.get("type", "time") == "number"
        self._overlap = Decimal(str(given.get("overlap", 1 if self._is_number else DEFAULT_OVERLAP)))
        form, zone = given.get("format", "iso"), given.get("zone", "UTC")
        self._format = Format(form, zone, place)
        self._written = Format(given.get("param_format", form), zone, place)
        self.start = self._begin(given["start"], place) if "start" in given else None

    def mark(self, item: Any) -> Decimal | None:
        """None where the field is missing or can't be read."""
        value = self._path.first(item)
        try:
            if self._is_number:
                number = Decimal(value)
                return number if number.is_finite() else None
            return _seconds(self._format.instant(self._format.parse(value)))
        except (ValueError, TypeError, InvalidOperation, OverflowError):
            return None

    def highest(self, marks: list[Decimal], now: datetime) -> Decimal | None:
        """A time in the future is a wrong clock's: to ask from there would lose what comes until then."""
        most = max(marks, default=None)
        return most if most is None or self._is_number else min(most, _seconds(now))

    def since(self, mark: Decimal) -> str:
        """What to ask for after `mark`: earlier by the overlap, so that ties and what arrived late are among it."""
        begin = mark - self._overlap
        if self._is_number:
            return str(int(begin.to_integral_value(rounding="ROUND_FLOOR")))
        return self._write(begin)

    def first(self) -> str | None:
        """What to ask for at the beginning."""
        if self.start is None:
            return None
        return format(self.start, "f") if self._is_number else self._write(self.start)

    def _write(self, seconds: Decimal) -> str:
        return self._written.write(_EPOCH + timedelta(microseconds=int(max(seconds, Decimal(0)) * 1_000_000)))

    def _begin(self, given: str | float, place: str) -> Decimal:
        try:
            if self._is_number:
                return Decimal(str(given))
            iso = Format("iso", str(self._format.zone), place)
            return _seconds(iso.instant(iso.parse(given)))
        except (ValueError, InvalidOperation) as error:
            raise ConfigInvalid(f"{place}.start: {given!r} can't be read: {error}") from error


def streams_of(config: Mapping[str, Any]) -> dict[str, Stream]:
    """By name. Raises `ConfigInvalid`, naming the place, for what the schema allows and makes no sense."""
    found: dict[str, Stream] = {}
    for number, given in enumerate(config["streams"]):
        place = f"config.streams.{number}"
        stream = _stream(config, given, place)
        if stream.name in found:
            raise ConfigInvalid(f"{place}.name: there are two streams {stream.name!r}")
        found[stream.name] = stream
    return found


def _stream(config: Mapping[str, Any], given: Mapping[str, Any], place: str) -> Stream:
    base = config["base_url"].rstrip("/")
    asked = given.get("incremental")
    stands_for = [base, given["path"], given.get("params", {}), asked and [asked.get(k) for k in ("path", "type")]]
    return Stream(
        name=given["name"],
        url=f"{base}/{given['path'].lstrip('/')}".rstrip("/"),
        params=given.get("params", {}),
        headers=config.get("headers", {}),
        records=Path(given.get("records", "$"), f"{place}.records"),
        pagination=Pagination(given.get("pagination", {"type": "none"}), f"{place}.pagination"),
        max_pages=given.get("max_pages", DEFAULT_PAGES),
        incremental=Incremental(asked, f"{place}.incremental") if asked else None,
        deleted=Condition(given["deleted"], f"{place}.deleted") if "deleted" in given else None,
        fields=Fields(given["fields"], f"{place}.fields"),
        identity=hashlib.sha256(json.dumps(stands_for, sort_keys=True).encode()).hexdigest()[:16],
    )


def _seconds(instant: datetime) -> Decimal:
    since = instant - _EPOCH
    return Decimal(since // timedelta(microseconds=1)) / 1_000_000
