"""Spot checks, as they are answered, go into the running tests of the promise, which tighten and ease the stages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from core.domain.approvals import Approval
from core.domain.decisions import Stage
from core.domain.drift import Turn, Watch, changed, evidence, replayed, watched
from core.domain.events import EventType, NewEvent
from core.domain.promise import Check, check_of
from core.domain.records import Record
from ports.storage import Transaction

REPLAYED = 5_000
"""Checks that a test is made of anew when an answer is withdrawn: of older ones little is left in it."""


def count_checks(tx: Transaction, answers: Iterable[tuple[Approval, Record]], now: datetime) -> None:
    """Each answer is a decided item with its record as it was before. To be called when all else was written: the tests
    are locked last, and those of a stage's answers wait for each other."""
    found: dict[Stage, list[tuple[datetime, Check]]] = defaultdict(list)
    for approval, record in answers:
        if (check := check_of(approval, record)) is not None:
            found[check.stage].append((approval.created_at, check))
    if not found:
        return
    promise = tx.tenants.get().settings.promise
    watches = tx.promises.hold(found, promise)
    for stage in sorted(found):
        watch = watches[stage]
        if watch.promise != promise:
            watch = watch.again(now, promise=promise)
        watch, turn = watched(watch, [check for asked, check in found[stage] if _since(watch, asked)])
        if turn is not None:
            watch = _turned(tx, watch, turn, now)
        tx.promises.put([watch])


def take_back_checks(tx: Transaction, answers: Iterable[tuple[Approval, Record]]) -> None:
    """To be called when these answers, each to the record as it was, are withdrawn: what the tests rest on is looked up
    again."""
    stages: dict[Stage, list[datetime]] = defaultdict(list)
    for approval, record in answers:
        if (check := check_of(approval, record)) is not None:
            stages[check.stage].append(approval.created_at)
    if not stages:
        return
    promise = tx.tenants.get().settings.promise
    for stage, watch in tx.promises.hold(stages, promise).items():
        if any(_since(watch, asked) for asked in stages[stage]):
            tx.promises.put([replayed(watch, tx.promises.checks(stage, since=watch.since, limit=REPLAYED))])


def _since(watch: Watch, asked: datetime) -> bool:
    return watch.since is None or asked > watch.since


def _turned(tx: Transaction, watch: Watch, turn: Turn, now: datetime) -> Watch:
    after = changed(watch, turn, now)
    type = EventType.PROMISE_AT_RISK if turn is Turn.TIGHTEN else EventType.PROMISE_KEPT
    tx.events.append([NewEvent(type=type, payload={**evidence(watch), "strictness": after.strictness})])
    return after
