"""Forms of the settings, read field by field: what can't be read is kept, to be told beside its field."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from flask import request

from core.errors import Invalid, VersionMismatch

MOST_DIGITS = 40
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """The form of the request; `wrong` says by field what does not hold."""

    wrong: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return request.form.get(name, "").strip()

    def refuse(self, name: str, said: str) -> None:
        self.wrong.setdefault(name, []).append(said)

    def percent(self, name: str, present: float | None, *, optional: bool = False) -> float | None:
        """A share of 0 to 1 out of `97.5`; `present` where the form has what it was filled with, so that nothing is
        rounded by saving it."""
        given = self.text(name).removesuffix("%").strip()
        if given == hundredths(present):
            return present
        if not given and optional:
            return None
        share = _number(given)
        if share is None or not 0 <= share <= 100:
            self.refuse(name, "This is a number from 0 to 100, with decimals after a point.")
            return present
        return float(share / 100)

    def whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number; None where nothing was typed."""
        given = _ungrouped(self.text(name))
        if not given:
            return None
        if not (given.isascii() and given.isdecimal() and len(given) < MOST_DIGITS and least <= int(given) <= most):
            self.refuse(name, f"This is a whole number from {least:,} to {most:,}, or empty.")
            return None
        return int(given)

    def amount(self, name: str, below: Decimal, decimals: int) -> Decimal | None:
        """An amount of money; None where nothing was typed."""
        given = _ungrouped(self.text(name))
        if not given:
            return None
        value = _number(given)
        if value is None or not 0 <= value < below:
            self.refuse(name, f"This is an amount from 0 to below {below:,f}, with decimals after a point; or empty.")
            return None
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and -exponent > decimals:
            self.refuse(name, f"This has at most {decimals} decimals.")
        return value

    def check(self) -> None:
        """Raises `Invalid` where something does not hold."""
        if self.wrong:
            raise Invalid("this does not hold yet: see what is marked below", fields=self.wrong)


def hundredths(share: float | None) -> str:
    """A share of 0 to 1 as a form shows it: `97.5`; '' where there is none."""
    return "" if share is None else f"{share * 100:.10g}"


def status_of(error: Exception | None) -> int:
    """How a page answers that shows what went wrong."""
    if isinstance(error, VersionMismatch):
        return 409
    return 200 if error is None else int(getattr(error, "status", 500))


def wrong_of(error: Exception | None) -> dict[str, list[str]]:
    """What the error says, by field."""
    fields: dict[str, list[str]] = getattr(error, "details", {}).get("fields") or {}
    return fields


def _ungrouped(given: str) -> str:
    """Without the commas where they group thousands. Any other one may be meant as the point of decimals, and stays, so
    that what has it is read as no number."""
    return given.replace(",", "") if _GROUPED.fullmatch(given) else given


def _number(given: str) -> Decimal | None:
    if not given.isascii() or len(given) > MOST_DIGITS:
        return None
    try:
        value = Decimal(given)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value.adjusted()) < MOST_DIGITS else None
