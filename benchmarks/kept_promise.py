"""The promise over a tenant's life: what is decided alone, and how much of that is right, beside a plain memory.

`python -m benchmarks.kept_promise FILE.csv --text COL --category COL [--context COL,COL] [--amount COL] [--date COL]
[--promise 0.95,0.9] [--seeds N] [--spot-checks 0.02] [--memory COL] [--rows N] [--json]`. Rows arrive in their order;
what is not decided alone is answered from the file, and so are spot checks; both teach. Learner, gate and spot checks
are the product's, without the storage, so that many seeds can be afforded: `sortation replay` is the whole pipeline. A
seed draws the spot checks, and what is learned again.

The memory counts answers by text and one field of the context (`--memory`, else the first of `--context`), and decides
alone where it has at least 5 and the promised share of them agree; with as many spot checks. A period is a quarter, or
a tenth of the rows where there are no dates; it breaks the promise where 1,000 or more were decided alone, more than a
point below it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is imported

import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from adapters.learning.ensemble import LearnedEnsemble
from benchmarks._rows import Past, Reader, Rows, of_text, parser_of, with_context
from core.domain.gate import RECENT, SHUT, Gate, gate_of
from core.domain.learning import Scored, arrival_of
from core.domain.spot_checks import check_shares
from entrypoints.evaluating.rows import Row

BATCH, SMALL_BATCH, SMALL_UNTIL = 1_000, 200, 1_000
PERIODS = 10
"""Of rows without dates."""
ENOUGH, POINT = 1_000, 0.01
ALIKE = 5
"""Answers from which on the memory may decide alone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one row: whether it was decided alone, whether the category was right, and whether a person was asked."""

    alone: bool
    right: bool
    asked: bool


def by_ensemble(rows: Rows, promise: float, spot_checks: float, seed: int) -> Iterator[Outcome]:
    chance = random.Random(seed)
    past, ensemble, gate = Past(seed), LearnedEnsemble(), SHUT
    latest: list[float] = []
    end = 0
    while end < len(rows.records):
        begin, end = end, min(len(rows.records), end + (SMALL_BATCH if end < SMALL_UNTIL else BATCH))
        scored = _scored(ensemble, rows, begin, end)
        alone = [_opens(gate, said) for said in scored]
        shares = iter(
            _shares(gate, [said for said, is_alone in zip(scored, alone, strict=True) if is_alone], spot_checks)
        )
        lessons = []
        for place, (said, is_alone) in enumerate(zip(scored, alone, strict=True), begin):
            probability = next(shares) if is_alone else 1.0
            asked = chance.random() < probability
            if asked:
                lessons.append(rows.lesson(place, 1 / probability, arrival_of(said)))
            first = said.candidates[0].category_id if said.candidates else None
            yield Outcome(is_alone, first == rows.categories[place], asked)
        ensemble.learn(lessons, past.earlier, arrived=end)
        past.lessons += lessons
        latest = [*latest, *(said.score for said in scored if said.stacked)][-RECENT:]
        gate = gate_of(ensemble.observations(), latest, ensemble.arrived, promise)


def _scored(ensemble: LearnedEnsemble, rows: Rows, begin: int, end: int) -> list[Scored]:
    """As similarity asks: only new texts are embedded."""
    records = rows.records[begin:end]
    found = ensemble.score(records)
    new = [place for place, said in enumerate(found) if not said.known]
    for place, said in zip(new, ensemble.score([records[place] for place in new], rows.vectors), strict=True):
        found[place] = said
    return found


def _opens(gate: Gate, said: Scored) -> bool:
    return bool(said.candidates) and gate.opens(said.score, said.scope, stacked=said.stacked)


def _shares(gate: Gate, alone: Sequence[Scored], spot_checks: float) -> list[float]:
    return check_shares([gate.probability(said.score) for said in alone], [s.staleness for s in alone], spot_checks)


def by_memory(
    rows: Rows, promise: float, spot_checks: float, seed: int, key: Callable[[Row], tuple[str, ...]]
) -> Iterator[Outcome]:
    chance = random.Random(seed)
    answers: dict[tuple[str, ...], Counter[UUID]] = defaultdict(Counter)
    for row, category in zip(rows.rows, rows.categories, strict=True):
        seen = answers[key(row)]
        [(most, count)] = seen.most_common(1) or [(None, 0)]
        alone = seen.total() >= ALIKE and count >= promise * seen.total()
        asked = not alone or chance.random() < spot_checks
        yield Outcome(alone, most == category, asked)
        if asked:
            seen[category] += 1


def told(outcomes: Sequence[Outcome], periods: Sequence[str], promise: float) -> dict[str, Any]:
    alone = [one.right for one in outcomes if one.alone]
    by_period: dict[str, list[bool]] = defaultdict(list)
    for one, period in zip(outcomes, periods, strict=True):
        if one.alone:
            by_period[period].append(one.right)
    precisions = {period: sum(right) / len(right) for period, right in by_period.items() if len(right) >= ENOUGH}
    return {
        "automation": round(len(alone) / len(outcomes), 4),
        "precision": round(sum(alone) / len(alone), 4) if alone else None,
        "worst": round(min(precisions.values()), 4) if precisions else None,
        "periods": len(precisions),
        "broken": [period for period, precision in precisions.items() if precision < promise - POINT],
        "spot_checks": sum(one.alone and one.asked for one in outcomes),
    }


def periods_of(rows: Sequence[Row], *, dated: bool) -> list[str]:
    if dated:
        return [f"{row.occurred_at.year}Q{(row.occurred_at.month + 2) // 3}" for row in rows]
    return [f"{place * PERIODS // len(rows) + 1}/{PERIODS}" for place in range(len(rows))]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--promise", default="0.95")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--spot-checks", type=float, default=0.02)
    parser.add_argument("--memory", metavar="COL")
    parser.add_argument("--rows", type=int)
    options = parser.parse_args()
    reader = Reader(options)
    rows = reader.read(options.file, options.rows)
    field = options.memory or next(iter(reader.columns.context), None)
    key = with_context(field) if field else of_text
    periods = periods_of(rows.rows, dated=reader.dated)
    found = []
    for promise in map(float, options.promise.split(",")):
        for seed in range(options.seeds):
            started = time.process_time()
            ensemble = told(list(by_ensemble(rows, promise, options.spot_checks, seed)), periods, promise)
            seconds = round(time.process_time() - started, 1)
            memory = told(list(by_memory(rows, promise, options.spot_checks, seed, key)), periods, promise)
            about = {"promise": promise, "seed": seed, "cpu_seconds": seconds}
            found.append(about | {"sortation": ensemble, "memory": memory})
            if not options.json:
                print(f"promise {promise:.1%}, seed {seed}, {seconds} CPU seconds")
                print(f"  sortation  {_line(ensemble)}")
                print(f"  memory     {_line(memory)}", flush=True)
    if options.json:
        print(json.dumps({"rows": len(rows.rows), "spot_checks": options.spot_checks, "runs": found}))


def _line(one: dict[str, Any]) -> str:
    def percent(share: float | None) -> str:
        return "-" if share is None else f"{share:.2%}"

    return (
        f"{one['automation']:>7.2%} alone, {percent(one['precision'])} right; worst period {percent(one['worst'])}, "
        f"{len(one['broken'])} of {one['periods']} periods broken; {one['spot_checks']} spot checks"
    )


if __name__ == "__main__":
    main()
