"""How pages write values: amounts, days and instants; and what they are told, as sentences."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from core.domain.minor_units import ISO_DECIMALS


def money(value: Decimal, currency: str | None) -> str:
    """With a true minus, groups of three, and as many decimals as the currency has, or more where the amount does:
    `−1,234.50`."""
    exponent = value.normalize().as_tuple().exponent
    places = max(ISO_DECIMALS.get(currency or "", 2), -exponent if isinstance(exponent, int) else 0)
    return f"{value:,.{places}f}".replace("-", "\N{MINUS SIGN}")


def when(value: date | datetime) -> str:
    """A day as `3 May 2026`; an instant with its time, in UTC: a script of ours tells it in the person's own time."""
    day = f"{value.day} {value:%b %Y}"
    return f"{day}, {value.astimezone(UTC):%H:%M} UTC" if isinstance(value, datetime) else day


def iso(value: date | datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds") if isinstance(value, datetime) else value.isoformat()


def percent(share: float | None, decimals: int = 1) -> str:
    """A share of 0 to 1 as `97.5 %`; `–` where there is none."""
    return "\N{EN DASH}" if share is None else f"{share * 100:.{decimals}f} %"


def whole(number: int) -> str:
    """With groups of three."""
    return f"{number:,}"


def as_sentence(text: object) -> str:
    """What an error, a plugin or a source says, with a large letter and an end; '' where it says nothing."""
    said = str(text).strip()
    return f"{said[:1].upper()}{said[1:]}{'' if said.endswith(('.', '!', '?', '…')) else '.'}" if said else ""
