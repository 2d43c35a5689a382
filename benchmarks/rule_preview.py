"""Previews of rules over stored records, by HTTP; beside reading every record whole and asking the reference evaluator.

`python -m benchmarks.rule_preview [--records N] [--repeat N] [--json]`. Texts are distinct; the starter pack is trusted
and a last rule takes the rest. Previewed are a draft that takes about 2 % of the records from others, and all rules.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from adapters.matching.regex import re2_search
from adapters.postgres import engine
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemIds
from benchmarks.end_to_end import sort
from core.domain.rule_evaluation import compile_rules, evaluate
from core.domain.tenants import worker_actor
from core.errors import PluginUnavailable
from ports.connectors import RuleType
from ports.storage import RecordFilter
from tests.stack import Stack, running_stack

DRAFT = {"name": "draft", "when": 'text contains "amazon"', "then": {"category": "housing.rent"}, "priority": 1}


def preview(stack: Stack, rules: list[dict[str, object]]) -> dict[str, int]:
    status, told = stack.call("POST", "/api/v1/rules/preview", {"rules": rules, "last": None})
    assert status == 200, told
    return {name: told[name] for name in ("seen", "matched", "newly_decided", "changed", "contradicting")}


def naive(stack: Stack) -> int:
    """Reads every record whole, asks all rules about each, and compares: a preview that is not built for it."""
    made = engine.create(stack.services()["app_database_url"], pool_size=1)
    uow = PostgresUnitOfWork(made, SystemIds())
    actor = worker_actor(UUID(stack.tenant_id))
    changed, after = 0, None
    with uow.begin(actor) as tx:
        compiled = compile_rules(tx.rules.list(), re2_search, _no_rule_type)
        while page := tx.records.page(RecordFilter(), after=after, limit=500):
            after = page[-1]["id"]
            records = tx.records.get_many([row["id"] for row in page])
            for record, outcome in zip(records, evaluate(compiled, records), strict=True):
                category = outcome.winner.rule.then.category_id if outcome.winner else None
                changed += category != record.category_id
    made.dispose()
    return changed


def _no_rule_type(key: str) -> RuleType:
    raise PluginUnavailable(key)


def seconds(work: Callable[[], object], repeat: int) -> float:
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(Path(folder) / "data", SORTATION_EMBEDDINGS="off") as stack,
    ):
        sort(stack, options.records, 0)
        stack.wait_until(stack.idle)
        told = preview(stack, [DRAFT])
        result = {
            "records": options.records,
            "draft": told,
            "draft_seconds": round(seconds(lambda: preview(stack, [DRAFT]), options.repeat), 3),
            "all_rules_seconds": round(seconds(lambda: preview(stack, []), options.repeat), 3),
            "naive_seconds": round(seconds(lambda: naive(stack), 1), 2),
        }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{options.records:,} records; the draft changes {told['changed']:,} of {told['matched']:,} that it matches")
    print(f"preview of a draft   {result['draft_seconds']:>7} s")
    print(f"preview of all rules {result['all_rules_seconds']:>7} s")
    print(f"naive, all rules     {result['naive_seconds']:>7} s")


if __name__ == "__main__":
    main()
