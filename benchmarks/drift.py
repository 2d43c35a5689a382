"""The running test of the promise: checks until it finds a loss, and how often it is wrong; beside looking at the 95 %
interval after each check, the naive way.

`python -m benchmarks.drift [--promise 0.95] [--runs N] [--json]`. Checks are simulated, with the truth known: records
that all have the same chance to be checked (`even`), or up to 10 times as much where they are wrong more often
(`risky`). A delay is in checks from the loss, which comes after a good spell; a false alarm is one at a precision of
the promise or above.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from core.domain.decisions import Stage
from core.domain.drift import Turn, Watch, watched
from core.domain.promise import Check, Tally, estimate
from core.domain.rule_standing import MIN_ANSWERS

SHARE = 0.02
MEAN = 9 / 2.302585
"""Of 10**u, u uniform in 0 to 1."""
GOOD = 1_000
"""Checks before a loss, of half the errors that the promise allows."""
LONGEST = 5_000
"""Checks after which a run without an alarm ends."""
FALSE_RUN = 10_000

Alarms = Callable[[float, Iterable[Check]], Iterator[int]]


def answers(seed: int, precision: float, risky: bool) -> Iterator[Check]:
    chance = random.Random(seed)
    while True:
        often, wrong = MEAN, 1 - precision
        if risky:
            often = 10 ** chance.random()
            wrong *= often / MEAN
            if chance.random() >= often / 10:
                continue
        yield Check(stage=Stage.LLM, probability=SHARE * often / MEAN, right=chance.random() >= wrong)


def by_test(promise: float, checks: Iterable[Check]) -> Iterator[int]:
    """The numbers of checks with which the test finds the promise at risk, begun anew each time."""
    fresh = watch = Watch(stage=Stage.LLM, promise=promise)
    for n, check in enumerate(checks, 1):
        watch, turn = watched(watch, [check])
        if turn is Turn.TIGHTEN:
            yield n
            watch = fresh


def by_interval(promise: float, checks: Iterable[Check]) -> Iterator[int]:
    """The same of who looks, after each check, whether the interval lies below the promise."""
    seen = Tally()
    for n, check in enumerate(checks, 1):
        seen = seen.plus_check(check)
        found = estimate(seen)
        if found is not None and seen.checked >= MIN_ANSWERS and found.high < promise:
            yield n
            seen = Tally()


def eased(promise: float, checks: Iterable[Check]) -> int | None:
    watch = Watch(stage=Stage.LLM, promise=promise, strictness=1)
    for n, check in enumerate(checks, 1):
        watch, turn = watched(watch, [check])
        if turn is not None:
            return n if turn is Turn.EASE else None
    return None


def delays(promise: float, precision: float, risky: bool, runs: int, alarms: Alarms) -> dict[str, int | None]:
    """Checks from the loss to the alarm: median, and what nine of ten runs need; None: more than `LONGEST`."""
    first = []
    for seed in range(runs):
        before = itertools.islice(answers(seed, 1 - (1 - promise) / 2, risky), GOOD)
        since = itertools.islice(answers(seed + runs, precision, risky), LONGEST)
        first.append(next((n - GOOD for n in alarms(promise, itertools.chain(before, since)) if n > GOOD), None))
    known = sorted(n for n in first if n is not None)
    return {
        name: known[place] if (place := int(share * runs)) < len(known) else None
        for name, share in (("median", 0.5), ("p90", 0.9))
    }


def false_alarms(promise: float, precision: float, risky: bool, runs: int, alarms: Alarms) -> float:
    """Per 10,000 checks."""
    found = sum(
        sum(1 for _ in alarms(promise, itertools.islice(answers(seed, precision, risky), FALSE_RUN)))
        for seed in range(runs)
    )
    return round(found / runs * 10_000 / FALSE_RUN, 2)


def measured(promise: float, runs: int) -> list[dict[str, Any]]:
    allowed = 1 - promise
    rows: list[dict[str, Any]] = []
    for risky in (False, True):
        drawn = "risky" if risky else "even"
        for times in (4.0, 2.0, 1.6, 1.2):
            true = round(1 - times * allowed, 6)
            naive = delays(promise, true, risky, max(1, runs // 3), by_interval)["median"]
            found = delays(promise, true, risky, runs, by_test)
            rows.append({"drawn": drawn, "true": true, **found, "naive_median": naive})
        for times in (1.0, 0.8):
            true = round(1 - times * allowed, 6)
            some = max(1, runs // 10)
            rows.append(
                {
                    "drawn": drawn,
                    "true": true,
                    "false_alarms": false_alarms(promise, true, risky, some, by_test),
                    "naive_false_alarms": false_alarms(promise, true, risky, some, by_interval),
                }
            )
        for times in (0.5, 1.0, 1.4):
            true = round(1 - times * allowed, 6)
            ends = [eased(promise, itertools.islice(answers(s, true, risky), LONGEST)) for s in range(runs)]
            known = sorted(n for n in ends if n is not None)
            median = known[len(known) // 2] if known else None
            rows.append({"drawn": drawn, "true": true, "eased": round(len(known) / runs, 3), "eased_median": median})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--promise", type=float, default=0.95)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measured(options.promise, options.runs)
    if options.json:
        print(json.dumps({"promise": options.promise, "runs": options.runs, "rows": rows}))
        return
    for row in rows:
        about = f"promise {options.promise:.1%}, true {row['true']:.1%}, {row['drawn']:<5}"
        if "median" in row:
            late = f"over {LONGEST:,}"
            alarm = f"alarm after {row['median'] or late} checks (median), {row['p90'] or late} (9 of 10)"
            print(f"{about}: {alarm}; by looking at the interval {row['naive_median'] or late}")
        elif "eased" in row:
            print(
                f"{about}: a tightened stage is eased in {row['eased']:.0%} of runs, after {row['eased_median']} checks"
            )
        else:
            naive = f"{row['naive_false_alarms']} by looking at the interval"
            print(f"{about}: {row['false_alarms']} false alarms per 10,000 checks ({naive})")


if __name__ == "__main__":
    main()
