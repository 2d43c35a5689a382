"""Rules: who wins, for each record, by the compiled matcher and by other engines, in one run.

`python -m benchmarks.rules [--rules N ...] [--records N] [--json]`. The rules look for merchants in bank texts: 60 %
contains, 15 % equals, 10 % starts with, 10 % regex (each of which names a merchant), 5 % compound. Every engine has a
process of its own, and must give the winners that the reference evaluator gives. All but the compiled matcher decide a
sample of the records; one that is slow, as many as it can in `PATIENCE` CPU seconds. `reference` is the evaluator that
defines the meaning, and asks every rule about every record.
The other engines come with `pip install sortation[bench]`; what is not installed is left out.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import pickle
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psutil

from adapters.matching.compiled import CompiledMatcher
from benchmarks._rule_data import TENANT, merchants, records, rules
from benchmarks._rule_engines import ENGINES, no_plugins, reference
from core.domain.conditions import parse_condition
from core.domain.records import Snapshot
from core.domain.rules import Rule, order_key
from entrypoints.garbage import collect_less

SAMPLE = 1_000
PATIENCE = 20.0
"""CPU seconds that an engine may take for its sample."""
REPEAT = 5
"""Runs of the compiled matcher over all records, the fastest of which counts."""
EDITS = 30


def expect(ordered: Sequence[Rule], seen: Sequence[Snapshot]) -> tuple[Sequence[int], float]:
    """The winners of the sample by the reference, and the share of the records that a rule matches."""
    matched = sum(bool(outcome.matches) for outcome in CompiledMatcher(no_plugins).compile(ordered).evaluate(seen))
    return reference(ordered)(seen[:SAMPLE]), matched / len(seen)


def measure(engine: str, ordered: Sequence[Rule], seen: Sequence[Snapshot], expected: Sequence[int]) -> dict[str, Any]:
    """`expected` are the winners of the first records, by the reference."""
    collect_less()  # as the processes that serve do
    memory, start = psutil.Process().memory_info().rss, time.process_time()
    winners = ENGINES[engine](ordered)
    winners(seen[:1])
    compiled, taken = time.process_time() - start, psutil.Process().memory_info().rss - memory
    if engine == "sortation":
        times = []
        for _ in range(REPEAT):
            start = time.process_time()
            found = winners(seen)
            times.append(time.process_time() - start)
        assert list(found[: len(expected)]) == list(expected), engine
        speed = len(seen) / min(times)
    else:
        speed = _sampled(engine, winners, seen, expected)
    return {
        "engine": engine,
        "rules": len(ordered),
        "records_per_cpu_second": round(speed, 1),
        "compile_seconds": round(compiled, 4),
        "memory_mb": round(taken / 1e6, 1),
    }


def _sampled(engine: str, winners: Any, seen: Sequence[Snapshot], expected: Sequence[int]) -> float:
    spent, done, size = 0.0, 0, 10
    while done < len(expected) and spent < PATIENCE:
        some = seen[done : min(done + size, len(expected))]
        start = time.process_time()
        found = list(winners(some))
        spent += time.process_time() - start
        assert found == list(expected[done : done + len(some)]), engine
        done, size = done + len(some), size * 4
    return done / spent


def edit_seconds(ordered: Sequence[Rule], record: Snapshot) -> list[float]:
    """From a changed rule, freshly loaded with all the others, to the first answer that heeds it."""
    matcher, chance, live = CompiledMatcher(no_plugins), random.Random(1), list(ordered)
    matcher.ruleset(TENANT, 1, lambda: live).winners([record])
    seconds = []
    for version in range(2, EDITS + 2):
        place = chance.randrange(len(live))
        when = parse_condition({"field": "text", "op": "contains", "value": f"edited {version}"})
        live[place] = replace(live[place], when=when, version=version)
        loaded = pickle.loads(pickle.dumps(live))  # noqa: S301 - nothing is shared, as after a read from the database
        gc.collect()  # what loading left behind is not the matcher's
        start = time.perf_counter()
        matcher.ruleset(TENANT, version, lambda loaded=loaded: loaded).winners([record])
        seconds.append(time.perf_counter() - start)
    return seconds


def run(count: int, size: int) -> list[dict[str, Any]]:
    chance = random.Random(20_260_101)
    names = merchants(count + 8_000, chance)
    ordered = sorted(rules(count, names[:count], chance), key=order_key)
    seen = records(size, names[:count], names[count:], chance)
    results = []
    # Nothing is compiled in this process, so that its children find no memory that was used before.
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        expected, matched = pool.apply(expect, (ordered, seen))
        print(f"{count:,} rules, {size:,} records, of which {matched:.0%} match a rule", file=sys.stderr)
        for engine in ENGINES:
            try:
                results.append(pool.apply(measure, (engine, ordered, seen, expected)))
            except ModuleNotFoundError as error:
                print(f"{engine} is left out: {error}", file=sys.stderr)
        edits = pool.apply(edit_seconds, (ordered, seen[0]))
    results[0] |= {"edit_seconds": round(statistics.median(edits), 4), "edit_seconds_max": round(max(edits), 4)}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    everything = []
    for count in options.rules:
        results = run(count, options.records)
        everything += results
        if not options.json:
            _show(results)
    if options.json:
        print(json.dumps(everything))


def _show(results: Sequence[dict[str, Any]]) -> None:
    ours = results[0]
    print(f"{'engine':28} {'records/CPU s':>14} {'ours is':>10} {'compiled in':>12} {'memory':>10}")
    for one in results:
        faster = ours["records_per_cpu_second"] / one["records_per_cpu_second"]
        print(
            f"{one['engine']:28} {one['records_per_cpu_second']:>14,.0f} {faster:>9,.0f}x"
            f" {one['compile_seconds']:>10.3f} s {one['memory_mb']:>7.1f} MB"
        )
    print(f"an edit is live in {ours['edit_seconds'] * 1e3:.1f} ms (at most {ours['edit_seconds_max'] * 1e3:.1f} ms)\n")


if __name__ == "__main__":
    main()
