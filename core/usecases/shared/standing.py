"""People's answers are counted for and against rules, which demotes some and proves others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from core.domain.decisions import Outcome, Stage
from core.domain.events import EventType, NewEvent
from core.domain.records import DECIDED_BY_PERSON, Record
from core.domain.rule_stage import version_of
from core.domain.rule_standing import Verdict, judge, precision
from core.domain.rules import Rule
from core.errors import NotFound
from ports.storage import Transaction


def take_back_answers(tx: Transaction, answers: Iterable[tuple[Record, bool]]) -> None:
    """What the first answer to each record counted for or against a rule counts no longer. A record is as it was before
    the answer is withdrawn; the flag says that it was an answer to an item of the review queue."""
    aliases = tx.categories.aliases()
    rules: dict[UUID, Rule | None] = {}
    counts: dict[UUID, tuple[int, int, int]] = {}
    for record, asked in answers:
        if record.rule_id is None:
            continue
        if record.rule_id not in rules:
            rules[record.rule_id] = _rule(tx, record.rule_id)
        stages = (record.reasoning_trace or {}).get("stages", ())
        said, chosen = _said_by_rule(record, rules[record.rule_id], aliases), _first_word(stages, aliases)
        if said is None or chosen is None:
            continue
        confirmed, overridden, corrected = counts.get(record.rule_id, (0, 0, 0))
        if asked:
            confirmed, overridden = confirmed - (said == chosen), overridden - (said != chosen)
        elif any(s["stage"] == Stage.RULES and s["outcome"] == Outcome.DECIDED for s in stages):
            corrected -= said != chosen
        counts[record.rule_id] = confirmed, overridden, corrected
    _count(tx, counts)


def count_answers(tx: Transaction, answers: Iterable[tuple[Record, UUID, bool]]) -> None:
    """Each answer is a record as it was before, the category that a person gives it, and whether it was asked for (by
    an item of the review queue). Only a record's first answer counts: later ones are about people's words. What a rule
    did before it last changed says nothing of it. To be called after the records were written: rules are locked last.
    """
    aliases: Mapping[str, UUID] | None = None
    rules: dict[UUID, Rule | None] = {}
    counts: dict[UUID, tuple[int, int, int]] = {}
    for record, chosen, asked in answers:
        if record.rule_id is None or record.status in DECIDED_BY_PERSON:
            continue
        if record.rule_id not in rules:
            rules[record.rule_id] = _rule(tx, record.rule_id)
        if aliases is None:
            aliases = tx.categories.aliases()
        said = _said_by_rule(record, rules[record.rule_id], aliases)
        if said is None:
            continue
        confirmed, overridden, corrected = counts.get(record.rule_id, (0, 0, 0))
        if asked:
            confirmed, overridden = confirmed + (said == chosen), overridden + (said != chosen)
        elif record.stage == Stage.RULES and said != chosen:
            corrected += 1
        counts[record.rule_id] = confirmed, overridden, corrected
    _count(tx, counts)


def _count(tx: Transaction, counts: Mapping[UUID, tuple[int, int, int]]) -> None:
    if not any(map(any, counts.values())):
        return
    settings = tx.tenants.get().settings
    for rule in tx.rules.count_answers(counts):
        verdict = judge(rule, settings.promise)
        if verdict is None:
            continue
        demote = verdict is Verdict.DEMOTE
        # A rule that its proof alone had made act is back to suggesting.
        acts_anyway = rule.pack is None or rule.pack in settings.trusted_packs
        tx.rules.set_standing(rule.id, demoted=demote and acts_anyway, proved=verdict is Verdict.PROVE)
        type = EventType.RULE_DEMOTED if demote else EventType.RULE_PROVED
        tx.events.append([NewEvent(type=type, subject_id=rule.id, payload=_evidence(rule, settings.promise))])


def _rule(tx: Transaction, rule_id: UUID) -> Rule | None:
    try:
        return tx.rules.get(rule_id)
    except NotFound:
        return None


def _said_by_rule(record: Record, rule: Rule | None, aliases: Mapping[str, UUID]) -> UUID | None:
    """The category (by now) that the rule, as it is now, gave or suggested, as the record's trace tells."""
    if rule is None:
        return None
    for stage in (record.reasoning_trace or {}).get("stages", ()):
        if stage["stage"] == Stage.RULES and version_of(stage.get("model")) < rule.evidence_from:
            return None
        for candidate in stage["candidates"]:
            if candidate["source"] == f"rule:{rule.id}":
                return _by_now(candidate["category_id"], aliases)
    return None


def _first_word(stages: Sequence[Mapping[str, Any]], aliases: Mapping[str, UUID]) -> UUID | None:
    """The category (by now) that a person gave first, after what was withdrawn before."""
    found: UUID | None = None
    for stage in stages:
        if stage["stage"] == Stage.HUMAN and stage["outcome"] == Outcome.WITHDRAWN:
            found = None
        elif stage["stage"] == Stage.HUMAN and found is None and stage["candidates"]:
            found = _by_now(stage["candidates"][0]["category_id"], aliases)
    return found


def _by_now(category_id: str, aliases: Mapping[str, UUID]) -> UUID:
    return aliases.get(category_id) or UUID(category_id)


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
