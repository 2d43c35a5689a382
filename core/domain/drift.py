"""The running test of the promise, a stage at a time: it looks at every spot check as it is answered, and says when the
stage has become worse than promised; it is then tightened step by step, and eased when checks speak for it again.

The test is a bet against the promise. With ε the share of errors that the promise allows, and w the check's inverse
probability over the mean one, a check multiplies the stake by 1 + λ·w·(wrong - ε). For a record that arrives, whatever
its chance of being checked, the expected gain is λ·(its chance of being wrong - ε), so nobody gains in the mean while
the promise is kept: weights by inverse probability are what makes that true where risky records are checked more often.
A new bet is opened with each check (Shiryaev and Roberts; an e-detector, Shin, Ramdas and Rinaldo 2022): the sum of all
stakes exceeds A, while the promise is kept, at most once in A checks in the mean. Three bets at once, each for another
size of the loss, share what is staked. The bet on the promise, which eases a stage, is the same the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from core.domain.decisions import Stage
from core.domain.promise import Check, Tally, estimate

ASKS = 3
"""The strictness at which a stage decides nothing alone."""
FEWEST_ERRORS = 1e-3
"""The share of errors that the test takes a stricter promise to allow: below, an error is no evidence of drift."""
WORSE = (1.5, 2.0, 4.0)
"""Times the errors allowed: what is bet on. A loss of another size is found, too, but later."""
BETTER = 0.25
"""The stake on the promise: what a wrong answer of weight 1 takes from it."""
ERRORS_BETWEEN = 50.0
"""At exactly the promise, at least so many wrong answers come between two false alarms, in the mean; and as many
between two turns that ease a stage which does not keep it."""


class Turn(StrEnum):
    TIGHTEN = "tighten"
    EASE = "ease"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The test of a stage. `strictness` says by how many steps it is tightened. What follows began at `since`, with the
    last change or reset (None: with the first check): what was decided before says nothing of how the stage decides
    now. `against` holds the sums of the stakes that bet against the promise, by `WORSE`, `in_favour` that of those
    that bet on it; `checks` is the evidence."""

    stage: Stage
    promise: float
    since: datetime | None = None
    strictness: int = 0
    against: tuple[float, ...] = (0.0,) * len(WORSE)
    in_favour: float = 0.0
    checks: Tally = field(default_factory=Tally)

    def again(self, since: datetime | None, *, promise: float | None = None, strictness: int | None = None) -> Watch:
        """The test from its beginning."""
        return Watch(
            stage=self.stage,
            promise=self.promise if promise is None else promise,
            since=since,
            strictness=self.strictness if strictness is None else strictness,
        )


def wanted(promise: float, strictness: int) -> float | None:
    """The precision that a stage is to aim at, tightened by so many steps: each halves the errors allowed. None: it
    decides nothing alone."""
    return None if strictness >= ASKS else 1 - (1 - promise) * 0.5**strictness


def watched(watch: Watch, checks: Iterable[Check]) -> tuple[Watch, Turn | None]:
    """The test after these checks, in order, and what it then asks for; it ends with the check that makes it ask."""
    for check in checks:
        watch = _after(watch, check)
        if (turn := _turn(watch, check)) is not None:
            return watch, turn
    return watch, None


def replayed(watch: Watch, checks: Iterable[Check]) -> Watch:
    """The test as it stands when these are all checks since it began, whatever it would have asked for meanwhile."""
    fresh = watch.again(watch.since)
    for check in checks:
        fresh = _after(fresh, check)
    return fresh


def _after(watch: Watch, check: Check) -> Watch:
    allowed = _allowed(watch.promise)
    # The mean so far: known before this check, so that no bet depends on what it is about.
    mean = watch.checks.checked / watch.checks.weight if watch.checks.checked else check.probability
    weight = mean / check.probability
    gain = weight * (float(not check.right) - allowed)
    return replace(
        watch,
        against=tuple(
            (staked + 1) * max(0.0, 1 + _stake(worse, allowed) * gain)
            for staked, worse in zip(watch.against, WORSE, strict=True)
        ),
        in_favour=(watch.in_favour + 1) * max(0.0, 1 - BETTER * gain),
        checks=watch.checks.plus_check(check),
    )


def _turn(watch: Watch, check: Check) -> Turn | None:
    allowed = _allowed(watch.promise)
    # A right answer is no reason for an alarm, nor a wrong one for easing.
    if not check.right and allowed < 1 and sum(watch.against) / len(WORSE) >= ERRORS_BETWEEN / allowed:
        return Turn.TIGHTEN
    if check.right and watch.strictness > 0 and watch.in_favour >= ERRORS_BETWEEN / allowed:
        return Turn.EASE
    return None


def _allowed(promise: float) -> float:
    return max(1 - promise, FEWEST_ERRORS)


def _stake(worse: float, allowed: float) -> float:
    """What grows the stake fastest if there are `worse` times the errors allowed; a right answer of weight 1 takes no
    more than a fifth of it."""
    return min((worse - 1) / (1 - allowed), 0.2 / allowed) if allowed < 1 else 0.0


def changed(watch: Watch, turn: Turn, now: datetime) -> Watch:
    """The stage a step stricter or easier, and its test from its beginning."""
    step = 1 if turn is Turn.TIGHTEN else -1
    return watch.again(now, strictness=min(ASKS, max(0, watch.strictness + step)))


def evidence(watch: Watch) -> dict[str, object]:
    """What the test rests on, as JSON."""
    found = estimate(watch.checks)
    return {
        "stage": watch.stage.value,
        "promise": watch.promise,
        "was": watch.strictness,
        "checked": watch.checks.checked,
        "since": watch.since.isoformat() if watch.since else None,
        "precision": round(found.precision, 4) if found else None,
        "interval": [round(found.low, 4), round(found.high, 4)] if found else None,
    }
