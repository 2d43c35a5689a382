"""When reports are made by themselves: at an hour of the tenant's day."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from core.errors import Invalid

_LONGEST = 62
"""Days within which every schedule has a slot."""


class Every(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Each day, each week on `weekday` (1 is Monday), or each month on `day` (or its last, where it has no such day),
    at the full `hour` (0 to 23) in the tenant's time zone. Where clocks are put forward over that hour it is the first
    instant after, where they are put back the first of the two. One that is `paused` has no turns."""

    every: Every
    hour: int
    weekday: int | None = None
    day: int | None = None
    paused: bool = False


def check_schedule(schedule: Schedule) -> None:
    """Raises `Invalid`."""
    weekly, monthly = schedule.every is Every.WEEK, schedule.every is Every.MONTH
    if not 0 <= schedule.hour <= 23:
        raise _wrong("hour", "hour lies between 0 and 23")
    if weekly != (schedule.weekday is not None):
        raise _wrong("weekday", "a weekday goes with each week, and only with that")
    if monthly != (schedule.day is not None):
        raise _wrong("day", "a day goes with each month, and only with that")
    if schedule.weekday is not None and not 1 <= schedule.weekday <= 7:
        raise _wrong("weekday", "weekday lies between 1 (Monday) and 7")
    if schedule.day is not None and not 1 <= schedule.day <= 31:
        raise _wrong("day", "day lies between 1 and 31")


def next_slot(schedule: Schedule, after: datetime, zone: ZoneInfo) -> datetime:
    """The first instant of the schedule that is later than `after`, in UTC."""
    day = after.astimezone(zone).date() - timedelta(days=1)
    return next(slot for slot in _slots(schedule, day, zone, 1) if slot > after)


def latest_slot(schedule: Schedule, until: datetime, zone: ZoneInfo) -> datetime:
    """The last instant of the schedule that is not later than `until`, in UTC."""
    day = until.astimezone(zone).date() + timedelta(days=1)
    return next(slot for slot in _slots(schedule, day, zone, -1) if slot <= until)


def _wrong(field: str, said: str) -> Invalid:
    return Invalid(said, fields={field: [f"{said[:1].upper()}{said[1:]}."]})


def _slots(schedule: Schedule, day: date, zone: ZoneInfo, step: int) -> list[datetime]:
    days = (day + timedelta(days=step * n) for n in range(_LONGEST))
    return [_instant(day, schedule.hour, zone) for day in days if _on(schedule, day)]


def _on(schedule: Schedule, day: date) -> bool:
    if schedule.every is Every.WEEK:
        return day.isoweekday() == schedule.weekday
    if schedule.every is Every.MONTH:
        return day.day == min(schedule.day or 1, monthrange(day.year, day.month)[1])
    return True


def _instant(day: date, hour: int, zone: ZoneInfo) -> datetime:
    # An hour that is skipped counts by the offset from before the change, so it becomes the first one after.
    return datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC)
