"""Records through the whole service where similarity decides, by the share of them whose texts are new.

A tenant has history that people sorted, and what was learned of it; no rules. Its records have amounts, a card and a
cost centre; a text is new where it differs from all of the history in more than numbers, and no two of them are equal.
Of the others every second one differs from a text of the history in its number alone.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks._vector_data import FORMS, NAMES, PLACES, TRADES
from core.domain.records import normalise
from tests.stack import Stack, running_stack

WORKERS = 2
OLD = 2_500
"""Forms of text that the history has; all others are new."""
NOISE = 0.02
"""Share of the history that is sorted at random."""
Form = tuple[str, str]
"""A text with a place for its number, and its category."""


class Stream:
    """History and records, the same each time."""

    def __init__(self) -> None:
        self._chance = random.Random(3)
        self._made = 0
        forms: dict[str, Form] = {}
        for trade in TRADES:
            for name in NAMES:
                for place in PLACES:
                    for form in FORMS:
                        text = form.format(name=name, trade=trade, number="{number}", place=place)
                        forms.setdefault(normalise(text.replace("{number}", "")), (text, trade))
        shuffled = self._chance.sample(list(forms.values()), len(forms))
        self._old, self._new = shuffled[:OLD], shuffled[OLD:]
        self._known: list[tuple[Form, str]] = []

    def history(self, count: int) -> bytes:
        chance = self._chance
        self._known = [(form, self._text(form)) for form in chance.choices(self._old, k=count)]
        given = (form[1] if chance.random() > NOISE else chance.choice(TRADES) for form, _ in self._known)
        return b"".join(self._line(text, category) for (_, text), category in zip(self._known, given, strict=True))

    def records(self, count: int, new: float) -> bytes:
        chance = self._chance
        texts = {self._text(form) for form in chance.choices(self._new, k=count)}
        fresh = sorted(texts)[: round(count * new)]
        others = chance.choices(self._known, k=count - len(fresh))
        known = [self._text(form) if n % 2 else text for n, (form, text) in enumerate(others)]
        return b"".join(map(self._line, chance.sample([*fresh, *known], count)))

    def _text(self, form: Form) -> str:
        return form[0].format(number=self._chance.randrange(100_000, 1_000_000))

    def _line(self, text: str, category: str | None = None) -> bytes:
        self._made += 1
        chance = self._chance
        record = {
            "text": text,
            "occurred_at": "2026-01-05",
            "external_id": str(self._made),
            "amount": f"-{chance.randrange(100, 20_000) / 100:.2f}",
            "currency": "EUR",
            "attributes": {"card": f"card {chance.randrange(40)}", "centre": f"centre {chance.randrange(25)}"},
        }
        return json.dumps(record if category is None else record | {"category": category}).encode() + b"\n"


def pipeline_speed(
    folder: Path, shares: Sequence[float], records: int, lessons: int, cold: float
) -> list[dict[str, Any]]:
    """What each share of new texts makes of the speed: `cold` is how many texts are embedded a CPU second."""
    with running_stack(
        folder,
        SORTATION_WORKER_CONCURRENCY=str(WORKERS),
        SORTATION_RULE_PROPOSALS="off",
        SORTATION_REFIT_DELAY_SECONDS="0",
    ) as stack:
        stream = Stream()
        _teach(stack, stream.history(lessons), lessons)
        _sorted(stack, stream.records(records // 4, 0.1), records // 4)  # the workers load what they need
        return [_measured(stack, stream.records(records, share), records, share, cold) for share in shares]


def _teach(stack: Stack, history: bytes, lessons: int) -> None:
    stack.new_tenant("Benchmark", trusted_packs=[])
    while rules := stack.call("GET", "/api/v1/rules?limit=100")[1]["items"]:
        for rule in rules:
            assert stack.call("DELETE", f"/api/v1/rules/{rule['id']}")[0] == 204
    status, made = stack.call("POST", "/api/v1/imports?filename=history.ndjson&approved=true", history)
    assert status == 202, made
    taught = "SELECT taught FROM ensembles"
    stack.wait_until(lambda: stack.query(taught) == [(lessons,)] and stack.idle(), seconds=1_800)


def _measured(stack: Stack, payload: bytes, records: int, share: float, cold: float) -> dict[str, Any]:
    before = _cpu_seconds(stack)
    seconds = _sorted(stack, payload, records)
    cpu = sum(after - before.get(process, 0.0) for process, after in _cpu_seconds(stack).items())
    [(last,)] = stack.query("SELECT id FROM imports ORDER BY id DESC LIMIT 1")
    [(alone,)] = stack.query("SELECT count(*) FROM records WHERE status = 'processed' AND import_id = %s", [last])
    [(working,)] = stack.query(
        "SELECT extract(epoch FROM max(finished_at) - min(started_at)) FROM jobs"
        " WHERE stream = 'records:process' AND payload ->> 'import_id' = %s",
        [str(last)],
    )
    return {
        "new_texts": share,
        "records": records,
        "sorted_per_second": round(records / seconds),
        "process_per_second": round(records / float(working)),
        "per_cpu_second": round(records / cpu),
        "embedding_share": round(records * share / cold / cpu, 3),
        "decided_alone": round(alone / records, 3),
    }


def _sorted(stack: Stack, payload: bytes, records: int) -> float:
    """Seconds from the upload's first byte until all records are decided or wait for a person."""
    before = _done(stack)
    start = time.perf_counter()
    stack.upload(payload, "records.ndjson")
    stack.wait_until(lambda: _done(stack) == before + records, seconds=1_800)
    seconds = time.perf_counter() - start
    stack.wait_until(stack.idle)
    return seconds


def _done(stack: Stack) -> int:
    rows = stack.query("SELECT sum(records) FROM daily_counts WHERE status IN ('processed', 'needs_review')")
    return int(rows[0][0] or 0)


def _cpu_seconds(stack: Stack) -> dict[int, float]:
    """Of each process of the service, the database's among them."""
    found = {}
    for process in [psutil.Process(stack.process.pid), *psutil.Process(stack.process.pid).children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        found[process.pid] = times.user + times.system
    return found
