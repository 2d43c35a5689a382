"""People's answers are counted for and against rules, which demotes some and proves others."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from core.domain.decisions import Stage
from core.domain.events import EventType, NewEvent
from core.domain.records import DECIDED_BY_PERSON, Record
from core.domain.rule_standing import Verdict, judge, precision
from core.domain.rules import Rule
from ports.storage import Transaction


def count_answers(tx: Transaction, answers: Iterable[tuple[Record, UUID, bool]]) -> None:
    """Each answer is a record as it was before, the category that a person gives it, and whether it was asked for (by
    an item of the review queue). Only a record's first answer counts: later ones are about people's words."""
    counts: dict[UUID, tuple[int, int, int]] = {}
    for record, chosen, asked in answers:
        said = _said_by_rule(record)
        if record.rule_id is None or said is None or record.status in DECIDED_BY_PERSON:
            continue
        confirmed, overridden, corrected = counts.get(record.rule_id, (0, 0, 0))
        if asked:
            confirmed, overridden = confirmed + (said == chosen), overridden + (said != chosen)
        elif record.stage == Stage.RULES and said != chosen:
            corrected += 1
        counts[record.rule_id] = confirmed, overridden, corrected
    if not any(map(any, counts.values())):
        return
    promise = tx.tenants.get().settings.promise
    for rule in tx.rules.count_answers(counts):
        verdict = judge(rule, promise)
        if verdict is None:
            continue
        demote = verdict is Verdict.DEMOTE
        # A rule that its proof alone had made act is back to suggesting.
        tx.rules.set_standing(rule.id, demoted=demote and not rule.proved, proved=verdict is Verdict.PROVE)
        type = EventType.RULE_DEMOTED if demote else EventType.RULE_PROVED
        tx.events.append([NewEvent(type=type, subject_id=rule.id, payload=_evidence(rule, promise))])


def _said_by_rule(record: Record) -> UUID | None:
    """The category that the record's rule gave or suggested, as its trace tells: the rule may have changed since."""
    for stage in (record.reasoning_trace or {}).get("stages", ()):
        for candidate in stage["candidates"]:
            if candidate["source"] == f"rule:{record.rule_id}":
                return UUID(candidate["category_id"])
    return None


def _evidence(rule: Rule, promise: float) -> dict[str, object]:
    found = precision(rule)
    return {
        "hits": rule.hits,
        "confirmed": rule.confirmed,
        "overridden": rule.overridden,
        "corrected": rule.corrected,
        "promise": promise,
        "precision": round(found.estimate, 4) if found else None,
        "interval": [round(found.low, 4), round(found.high, 4)] if found else None,
    }
