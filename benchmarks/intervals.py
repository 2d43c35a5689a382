"""How often the promise's 95 % interval of a period holds the true precision; beside Wilson's on the bare checks, the
naive way.

`python -m benchmarks.intervals [--seeds N] [--share 0.02] [--json]`. Simulated, with the truth known: arrivals whose
probabilities of being right are spread widely, of which those are decided alone that keep the promise in the mean. Each
period they are off by as much as was measured on three years of card purchases. A period has 1,000 to 6,000 records
decided alone; checks are drawn record by record, with the chances that `core.domain.spot_checks` gives them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.domain.decisions import Stage
from core.domain.promise import Check, estimate, tally
from core.domain.rule_standing import wilson
from core.domain.spot_checks import check_shares

PROMISES = (0.85, 0.9, 0.95, 0.98, 0.99)
PERIODS = 9
"""Of one seed."""
LEAST, MOST = 1_000, 6_000
"""Records decided alone in a period."""
CHUNK = 400
"""Of them in one chunk: chances are given out within it."""
CENTRE, SPREAD = 1.5, 2.5
"""Mean and standard deviation of the arrivals' log-odds of being right."""
OFF = 0.14
"""Standard deviation in log-odds by which a period's precision differs from what was expected of it: measured at
promises of 90 and 95 % on three years of card purchases."""
STALE = 4_000.0
"""Mean number of arrivals since the last label of the like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The true precision of what was decided alone, and the checks."""

    true: float
    checks: tuple[Check, ...]


def probability(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


def threshold(promise: float, chance: random.Random) -> float:
    """The log-odds from which on the arrivals keep the promise in the mean."""
    total, least = 0.0, math.inf
    for n, odds in enumerate(sorted((chance.gauss(CENTRE, SPREAD) for _ in range(20_000)), reverse=True), 1):
        total += probability(odds)
        if total / n < promise:
            break
        least = odds
    return least


def periods(promise: float, share: float, seed: int) -> Iterator[Period]:
    chance = random.Random(seed)
    least = threshold(promise, chance)
    for _ in range(PERIODS):
        off, wanted = chance.gauss(0.0, OFF), chance.randint(LEAST, MOST)
        believed = []
        while len(believed) < wanted:
            if (odds := chance.gauss(CENTRE, SPREAD)) >= least:
                believed.append(odds)
        right = [chance.random() < probability(odds + off) for odds in believed]
        checks: list[Check] = []
        for begin in range(0, wanted, CHUNK):
            chunk = believed[begin : begin + CHUNK]
            stale = [chance.expovariate(1 / STALE) for _ in chunk]
            shares = check_shares([probability(odds) for odds in chunk], stale, share)
            checks += [
                Check(stage=Stage.SIMILARITY, probability=asked, right=was_right)
                for asked, was_right in zip(shares, right[begin : begin + CHUNK], strict=True)
                if chance.random() < asked
            ]
        yield Period(true=sum(right) / wanted, checks=tuple(checks))


def measured(promise: float, share: float, seeds: int) -> dict[str, Any]:
    """Shares of the periods with a check; `above` is where the truth lies above the interval, `below` the bad case."""
    held = above = below = naive = all_right = told = checked = 0
    width = error = 0.0
    for seed in range(seeds):
        for period in periods(promise, share, seed):
            found = estimate(tally(period.checks))
            if found is None:
                continue
            told += 1
            checked += found.checked
            above += period.true > found.high
            below += period.true < found.low
            held += found.low <= period.true <= found.high
            all_right += found.precision == 1
            width += found.high - found.low
            error += found.precision - period.true
            low, high = wilson(sum(c.right for c in period.checks), len(period.checks))
            naive += low <= period.true <= high
    return {
        "promise": promise,
        "periods": told,
        "checks": round(checked / told, 1),
        "coverage": round(held / told, 4),
        "above": round(above / told, 4),
        "below": round(below / told, 4),
        "width": round(width / told, 4),
        "bias": round(error / told, 5),
        "all_right": round(all_right / told, 4),
        "naive_coverage": round(naive / told, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.02)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measured(promise, options.share, options.seeds) for promise in PROMISES]
    if options.json:
        print(json.dumps({"seeds": options.seeds, "share": options.share, "rows": rows}))
        return
    for row in rows:
        print(
            f"promise {row['promise']:.0%}: {row['coverage']:.1%} of {row['periods']} intervals hold the truth, "
            f"{row['below']:.1%} lie above it; {row['checks']:.0f} checks, {row['width']:.1%} wide, "
            f"off by {row['bias']:+.2%} in the mean; without weights {row['naive_coverage']:.1%} hold it"
        )


if __name__ == "__main__":
    main()
