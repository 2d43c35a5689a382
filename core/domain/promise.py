"""The promise: how right what was decided alone is, as spot checks tell, and how sure that is.

Each record that a stage decides alone is checked by a person with a probability of its own, so each check weighs its
inverse: it stands for all the records like it that nobody looked at. The estimate is Hájek's, the weighted share of
checks that were right. Its interval is Wilson's on the effective sample size: the smaller one of Kish's, which knows
the weights alone, and of that which the estimate's linearised variance tells, which sees when it is the rarely checked
that are wrong. So it stays honest where every check was right, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum

from core.domain.approvals import Approval, ApprovalReason
from core.domain.decisions import Outcome, Stage
from core.domain.records import Record
from core.domain.rule_standing import CONFIDENCE_Z, wilson

ALONE = (Stage.RULES, Stage.SIMILARITY, Stage.LLM)
"""The stages that decide alone."""
MISSED = 0.025
"""The chance with which the truth may lie beyond one end of an interval."""
RATE_DAYS = 28
"""The answers of so many days tell how many come a day."""
MOST_CHECKS = 1_000_000
"""Where more are needed to tell, nothing is foretold."""


class Keeping(StrEnum):
    KEPT = "kept"
    AT_RISK = "at_risk"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A person's answer to a spot check: the stage that had decided, the chance with which a person was asked (above 0,
    up to 1), and whether the stage was right."""

    stage: Stage
    probability: float
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Checks in sums: how many, and of their weights (the inverse probabilities) the sum of all and of the wrong ones,
    and the same of the squares."""

    checked: int = 0
    weight: float = 0.0
    wrong: float = 0.0
    squares: float = 0.0
    wrong_squares: float = 0.0

    def plus(self, other: Tally) -> Tally:
        return Tally(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)})

    def plus_check(self, check: Check) -> Tally:
        weight = 1 / check.probability
        return Tally(
            checked=self.checked + 1,
            weight=self.weight + weight,
            wrong=self.wrong + (0.0 if check.right else weight),
            squares=self.squares + weight * weight,
            wrong_squares=self.wrong_squares + (0.0 if check.right else weight * weight),
        )


def tally(checks: Iterable[Check]) -> Tally:
    found = Tally()
    for check in checks:
        found = found.plus_check(check)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Of the share that is right (0 to 1), with its 95 % interval. It rests on `checked` answers, which are worth
    `effective` ones with equal weights."""

    precision: float
    low: float
    high: float
    checked: int
    effective: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What became of records in a calendar month (named by its first day, in the tenant's time zone), by the stage that
    decided them; `stage` is None for those that went to a person. `recent` are the checks of the last `RATE_DAYS`."""

    month: date
    stage: Stage | None
    decided: int
    checks: Tally
    recent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToTell:
    """How many more checks may tell whether the promise is kept, if they turn out like those so far, and in how many
    days that many come (None: not to be foreseen)."""

    checks: int
    days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is known of a part of the stream. `decided` counts what was decided alone or asked about, `automated` what
    was decided alone."""

    decided: int
    automated: int
    estimate: Estimate | None
    keeping: Keeping
    words: str
    to_tell: ToTell | None

    @property
    def automation(self) -> float | None:
        return self.automated / self.decided if self.decided else None


def check_of(approval: Approval, record: Record) -> Check | None:
    """The check that an answered item of the queue is; None where it is no spot check, was withdrawn, or what had been
    decided is gone. The record may be as it was before the answer or after it."""
    answered = approval.verdict is not None and approval.withdrawn_at is None
    stage = stage_alone(record)
    if approval.reason is not ApprovalReason.SPOT_CHECK or not answered or stage is None:
        return None
    if approval.suggested_id is None or not record.selection_probability:
        return None
    return Check(
        stage=stage, probability=record.selection_probability, right=approval.category_id == approval.suggested_id
    )


def stage_alone(record: Record) -> Stage | None:
    """The stage that decided the record alone, whatever people said since, as its trace tells."""
    for said in (record.reasoning_trace or {}).get("stages", ()):
        if said["outcome"] == Outcome.DECIDED and said["stage"] in ALONE:
            return Stage(said["stage"])
    return None


def estimate(checks: Tally) -> Estimate | None:
    """None without a check."""
    if not checks.checked:
        return None
    right = max(0.0, 1 - checks.wrong / checks.weight)
    effective = checks.weight**2 / checks.squares
    scatter = checks.wrong_squares * right**2 + (checks.squares - checks.wrong_squares) * (1 - right) ** 2
    if scatter > 0:
        effective = min(effective, right * (1 - right) * checks.weight**2 / scatter)
    low, high = wilson(right * effective, effective)
    # Where all checks agree, Wilson's bound is a little too sure of itself: the exact one is asked, too.
    if right == 1:
        low, high = min(low, MISSED ** (1 / effective)), 1.0
    elif right == 0:
        low, high = 0.0, max(high, 1 - MISSED ** (1 / effective))
    return Estimate(precision=right, low=low, high=high, checked=checks.checked, effective=effective)


def figures(promise: float, cells: Iterable[Cell], *, of: int | None = None, tightened: bool = False) -> Figures:
    """The cells taken together, as a part `of` so many decided (None: of their own). `tightened` says that the running
    test has found the promise at risk and not yet taken it back."""
    decided = automated = recent = 0
    checks = Tally()
    for cell in cells:
        decided += cell.decided
        automated += cell.decided if cell.stage is not None else 0
        recent += cell.recent
        checks = checks.plus(cell.checks)
    found = estimate(checks)
    keeping = _keeping(promise, found, tightened)
    return Figures(
        decided=decided if of is None else of,
        automated=automated,
        estimate=found,
        keeping=keeping,
        words=_words(promise, found, tightened),
        to_tell=to_tell(promise, found, recent),
    )


def _keeping(promise: float, found: Estimate | None, tightened: bool) -> Keeping:
    if tightened or (found is not None and found.high < promise):
        return Keeping.AT_RISK
    return Keeping.KEPT if found is not None and found.low >= promise else Keeping.UNKNOWN


def _words(promise: float, found: Estimate | None, tightened: bool) -> str:
    stricter = " The running test found the promise at risk: this is to decide more strictly until checks speak for it."
    if found is None:
        return "Unknown yet: nothing that was decided alone has been checked." + stricter * tightened
    checks = "1 check" if found.checked == 1 else f"{found.checked:,} checks"
    interval = f"the 95 % interval from {found.low:.1%} to {found.high:.1%}"
    if found.high < promise:
        place = f"{interval} lies below the promised {promise:.1%}."
    elif found.low >= promise:
        place = f"{interval} lies at or above the promised {promise:.1%}, which makes it likely, not certain."
    else:
        place = f"{interval} has the promised {promise:.1%} in it, so it cannot be told yet."
    return f"About {found.precision:.1%} right by {checks}; {place}" + stricter * tightened


def to_tell(promise: float, found: Estimate | None, recent: int) -> ToTell | None:
    """None where the interval lies on one side of the promise already, or will not within any sensible time. `recent`
    counts the checks of the last `RATE_DAYS`; without a check yet, further ones are taken to be right."""
    if found is not None and (found.high < promise or found.low >= promise):
        return None
    room = (1.0 if found is None else found.precision) - promise
    if not room:
        return None
    # Where Wilson's interval ends at the promise: the score test turned around.
    needed = CONFIDENCE_Z**2 * promise * (1 - promise) / room**2
    more = needed if found is None else found.checked * (needed / found.effective - 1)
    if more > MOST_CHECKS:
        return None
    checks = max(1, math.ceil(more))
    return ToTell(checks=checks, days=math.ceil(checks * RATE_DAYS / recent) if recent else None)
