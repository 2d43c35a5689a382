"""Rules learned from decided records, and how right they are on the records that follow.

`python -m benchmarks.rule_learning FILE --text COL --category COL [--context COL,COL] [--amount COL] [--train 5000]
[--test 5000] [--skip N] [--promise 0.95] [--test-file FILE] [--shuffle] [--json]`. FILE is CSV (or .csv.gz) in time
order; `--shuffle` is for files without one. The rows after the first N teach; all proposals are taken as rules, in the
order of the list, and decide the next rows (or the first of the other file). Beside it the naive way: each text that
was seen three times or more with one category in the promised share. Spending is positive in the amount's column.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn
from uuid import NAMESPACE_OID, UUID, uuid5

from core.domain.conditions import Condition, Leaf
from core.domain.records import Draft, RecordStatus, Snapshot, check_draft, normalise
from core.domain.rule_evaluation import compile_rules, evaluate
from core.domain.rule_learning import propose
from core.domain.rules import Action, Rule, RuleStage

ZERO = UUID(int=0)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAIVE_SUPPORT = 3
Labelled = Sequence[tuple[Snapshot, UUID]]
Mined = Sequence[tuple[Condition, UUID]]


def rows_of(path: Path) -> list[dict[str, str]]:
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def record_of(row: Mapping[str, str], number: int, options: argparse.Namespace) -> Snapshot:
    """The record that the row of a card statement would become: the text is the counterparty, too."""
    money = row[options.amount].strip() if options.amount else ""
    context = {name: row[name].strip() for name in options.context.split(",") if name}
    draft = check_draft(
        Draft(
            text=row[options.text] or "?",
            counterparty=row[options.text] if money else "",
            occurred_at=date(2026, 1, 1),
            amount=-Decimal(money) if money else None,
            currency="GBP" if money else None,
            attributes={name: value for name, value in context.items() if value},
        )
    )
    return Snapshot(
        id=UUID(int=number),
        connection_id=ZERO,
        kind=draft.kind,
        account=draft.account,
        occurred_at=draft.occurred_at,
        text=draft.text,
        counterparty=draft.counterparty,
        amount=draft.amount,
        currency=draft.currency,
        attributes=draft.attributes,
        status=RecordStatus.APPROVED,
        category_id=None,
        stage=None,
        rule_id=None,
        asked=False,
        version=1,
    )


def labelled_of(rows: Sequence[Mapping[str, str]], options: argparse.Namespace) -> Labelled:
    return [
        (record_of(row, number, options), uuid5(NAMESPACE_OID, row[options.category]))
        for number, row in enumerate(rows, start=1)
    ]


def naive(labelled: Labelled, promise: float) -> Mined:
    by_text: dict[str, Counter[UUID]] = defaultdict(Counter)
    for record, category in labelled:
        by_text[normalise(record.text)][category] += 1
    mined: list[tuple[Condition, UUID]] = []
    for text, counts in by_text.items():
        category, agreeing = counts.most_common(1)[0]
        if counts.total() >= NAIVE_SUPPORT and agreeing >= promise * counts.total():
            mined.append((Leaf(field="text", op="equals", values=(text,)), category))
    return mined


def rule(number: int, when: Condition, category_id: UUID) -> Rule:
    """A rule that is asked in the order of the numbers."""
    return Rule(
        id=UUID(int=number),
        tenant_id=ZERO,
        name=str(number),
        stage=RuleStage.MAIN,
        priority=number,
        when=when,
        then=Action(category_id=category_id),
        stop=True,
        enabled=True,
        pack=None,
        trusted=True,
        hits=0,
        last_hit_at=None,
        created_at=NOW,
        version=1,
    )


def _none(*_: Any) -> NoReturn:
    raise AssertionError("a learned rule needs no regex and no rule type")


def measure(mined: Mined, to_come: Labelled) -> dict[str, float]:
    """The share of `to_come` that the rules decide, and the share of these that they decide right."""
    rules = compile_rules([rule(number, *pair) for number, pair in enumerate(mined, start=1)], _none, _none)
    outcomes = evaluate(rules, [record for record, _ in to_come])
    right = [
        outcome.winner.rule.then.category_id == category
        for outcome, (_, category) in zip(outcomes, to_come, strict=True)
        if outcome.winner
    ]
    return {
        "coverage": len(right) / max(1, len(to_come)),
        "precision": sum(right) / max(1, len(right)),
        "proposals": len(mined),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help="a CSV file, or .csv.gz, in time order")
    parser.add_argument("--text")
    parser.add_argument("--category")
    parser.add_argument("--context", default="")
    parser.add_argument("--amount")
    parser.add_argument("--train", type=int, default=5_000)
    parser.add_argument("--test", type=int, default=5_000)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--promise", type=float, default=0.95)
    parser.add_argument("--test-file", type=Path)
    parser.add_argument("--shuffle", action="store_true")
    parser.add_argument("--show", type=int, default=0, help="print so many of the proposals")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (options.file and options.text and options.category):
        print("benchmarks.rule_learning needs sorted records of yours: FILE --text COLUMN --category COLUMN")
        return
    rows = rows_of(options.file)
    if options.shuffle:
        random.Random(0).shuffle(rows)
    rows = rows[options.skip :]
    following = rows_of(options.test_file) if options.test_file else rows[options.train :]
    labelled = labelled_of(rows[: options.train], options)
    to_come = labelled_of(following[: options.test], options)

    results: dict[str, dict[str, float]] = {}
    started = time.process_time()
    suggestions = propose(labelled, promise=options.promise)
    seconds = time.process_time() - started
    mined = [(suggestion.when, suggestion.category_id) for suggestion in suggestions]
    results["learned"] = measure(mined, to_come) | {"seconds": seconds}
    started = time.process_time()
    by_text = naive(labelled, options.promise)
    seconds = time.process_time() - started
    results["naive"] = measure(by_text, to_come) | {"seconds": seconds}
    if options.json:
        print(json.dumps({"promise": options.promise, "train": len(labelled), "test": len(to_come), **results}))
        return
    print(f"{len(labelled):,} labels, promise {options.promise}, the next {len(to_come):,} records")
    print(f"{'':8}  coverage  precision  proposals  CPU seconds")
    for name, found in results.items():
        print(
            f"{name:8}  {found['coverage']:8.1%}  {found['precision']:9.1%}  {found['proposals']:9.0f}  "
            f"{found['seconds']:11.2f}"
        )
    names = {uuid5(NAMESPACE_OID, row[options.category]): row[options.category] for row in rows}
    for suggestion in suggestions[: options.show]:
        evidence = suggestion.evidence
        print(
            f"{suggestion.name} → {names[suggestion.category_id]}: {evidence.agreeing} of {evidence.support}, "
            f"{evidence.expected:.3f} expected"
        )


if __name__ == "__main__":
    main()
