"""What rules would change on stored records: before → after, and which rules shadow each other.

A rule run applies the rules to records that were decided before. It never touches what a person decided; where the
rules say what becomes of a record it becomes that, and where they no longer say what they said, the stages after them
are asked. Previews and runs go through these functions, so that a preview tells what a run then does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from core.domain.conditions import condition_to_json
from core.domain.decisions import Decision, Stage
from core.domain.records import DECIDED_BY_PERSON, RecordStatus, Snapshot
from core.domain.rule_evaluation import RuleOutcome
from core.domain.rules import Rule

MAX_SAMPLES = 20
"""Records shown of each effect."""
IN_REACH = (*DECIDED_BY_PERSON, RecordStatus.PROCESSED, RecordStatus.NEEDS_REVIEW, RecordStatus.FAILED)
"""Statuses that a preview looks at: what is still on its way is decided by the rules anyway."""


class Effect(StrEnum):
    NEWLY_DECIDED = "newly_decided"
    """A person would have had to decide; now a stage does."""
    CHANGED = "changed"
    """It was decided alone, and gets another category (or none)."""
    RELEASED = "released"
    """It was decided alone, and goes to a person."""
    CONTRADICTING = "contradicting"
    """A person decided otherwise; it stays as the person said."""


class Step(StrEnum):
    """What has to be done to tell a record's effect."""

    RULES_SETTLE = "rules"
    ASK_LATER_STAGES = "later"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The effect on one record: status, category and stage before and after. For a contradiction, `after` is what the
    rule says; the record keeps what it has."""

    record_id: UUID
    effect: Effect
    text: str
    rule_id: UUID | None
    status_before: str
    category_before: UUID | None
    status_after: str
    category_after: UUID | None
    stage_after: str | None


@dataclass(slots=True, kw_only=True)
class Effects:
    """Effects, added up page by page. `matched` counts the records that one of the rules in question matches; samples
    are the newest of each effect."""

    seen: int = 0
    matched: int = 0
    counts: Counter[Effect] = field(default_factory=Counter)
    samples: dict[Effect, list[Change]] = field(default_factory=dict)
    untold: int = 0
    """Records that no rule decides any more, and whose texts are too many to ask similarity about in passing."""

    def add(self, changes: Sequence[Change]) -> None:
        self.counts.update(change.effect for change in changes)
        for change in changes:
            kept = self.samples.setdefault(change.effect, [])
            if len(kept) < MAX_SAMPLES:
                kept.append(change)


@dataclass(slots=True, kw_only=True)
class Shadows:
    """How a draft stands among the other rules, on real records: how many it `matches` and `wins`, who wins instead
    (`shadowed_by`), and whom it takes records from (`shadowing`). None stands for no rule."""

    matches: int = 0
    wins: int = 0
    shadowed_by: Counter[UUID] = field(default_factory=Counter)
    shadowing: Counter[UUID] = field(default_factory=Counter)
    decides: bool = True
    same_as: UUID | None = None
    """An earlier rule with the same condition that decides: then this one never does."""

    @property
    def unreachable(self) -> bool:
        return self.decides and (self.same_as is not None or (self.matches > 0 and self.wins == 0))


def step(record: Snapshot, winner: Rule | None, scope: frozenset[UUID] | None) -> Step | None:
    """What the rules would do to a stored record, None for nothing. `scope` are the rules in question (None: all): a
    record is theirs when one of them wins it now, or did when it was decided."""
    acting = winner if winner is not None and winner.trusted else None
    wins = winner is not None and (scope is None or winner.id in scope)
    if record.status in DECIDED_BY_PERSON:
        if acting is None or not wins or _asks(acting) or acting.then.category_id in (None, record.category_id):
            return None
        return Step.CONTRADICTS
    if not (wins or scope is None or record.rule_id in scope) or record.status not in IN_REACH:
        return None
    if acting is None:
        by_rules = record.asked or (record.stage == Stage.RULES and record.status is RecordStatus.PROCESSED)
        return Step.ASK_LATER_STAGES if by_rules else None
    if _asks(acting):
        return None if record.status is RecordStatus.NEEDS_REVIEW else Step.RULES_SETTLE
    settled = record.status is RecordStatus.PROCESSED and record.category_id == acting.then.category_id
    return None if settled else Step.RULES_SETTLE


def _asks(rule: Rule) -> bool:
    return rule.then.review or rule.demoted


def change_of(record: Snapshot, decision: Decision) -> Change | None:
    """The effect of a new decision on a record that was decided before; None where its status and category stay."""
    before, after = record.status, decision.status
    if before is after and record.category_id == decision.category_id:
        return None
    if after is RecordStatus.PROCESSED:
        effect = Effect.CHANGED if before is RecordStatus.PROCESSED else Effect.NEWLY_DECIDED
    elif before is RecordStatus.PROCESSED:
        effect = Effect.RELEASED
    else:
        return None
    return Change(
        record_id=record.id,
        effect=effect,
        text=record.text,
        rule_id=decision.rule_id,
        status_before=before.value,
        category_before=record.category_id,
        status_after=after.value,
        category_after=decision.category_id,
        stage_after=decision.stage.value if decision.stage else None,
    )


def contradiction(record: Snapshot, winner: Rule) -> Change:
    return Change(
        record_id=record.id,
        effect=Effect.CONTRADICTING,
        text=record.text,
        rule_id=winner.id,
        status_before=record.status.value,
        category_before=record.category_id,
        status_after=record.status.value,
        category_after=winner.then.category_id,
        stage_after=record.stage,
    )


def add_shadows(shadows: Mapping[UUID, Shadows], by: Sequence[UUID], won: UUID | None, without: UUID | None) -> None:
    """Counts one record that the drafts in `by` match: who wins it, and who would without the drafts."""
    for draft_id in by:
        shadow = shadows[draft_id]
        shadow.matches += 1
        if won == draft_id:
            shadow.wins += 1
            if without is not None:
                shadow.shadowing[without] += 1
        elif won is not None:
            shadow.shadowed_by[won] += 1


def shadows_of(rules: Sequence[Rule], outcomes: Sequence[RuleOutcome]) -> dict[UUID, Shadows]:
    """How each of the `rules` (in order) stands among the others, by what they say of some records; those that match
    none of these and repeat no other are left out. Equal outcomes are one object, and looked at once."""
    shadows = {rule.id: Shadows(decides=rule.then.decides) for rule in rules}
    first: dict[str, UUID] = {}
    for rule in rules:
        written = json.dumps(condition_to_json(rule.when), sort_keys=True)
        if rule.then.decides and written in first:
            shadows[rule.id].same_as = first[written]
        if rule.then.decides and rule.trusted:
            first.setdefault(written, rule.id)
    distinct = {id(outcome): outcome for outcome in outcomes}
    for key, records in Counter(map(id, outcomes)).items():
        outcome = distinct[key]
        winner = outcome.winner.rule if outcome.winner else None
        others = [match.rule for match in outcome.matches if match.rule.then.decides and match.rule is not winner]
        for match in outcome.matches:
            shadows[match.rule.id].matches += records
        if winner is None:
            continue
        shadows[winner.id].wins += records
        for other in others:
            shadows[other.id].shadowed_by[winner.id] += records
        if others:
            next_best = next((other for other in others if other.trusted), others[0])
            shadows[winner.id].shadowing[next_best.id] += records
    return {id: shadow for id, shadow in shadows.items() if shadow.matches or shadow.same_as}


def twin(draft: Rule, ordered: Sequence[Rule]) -> UUID | None:
    """The rule that stands before `draft` in the order with the same condition and decides, if there is one."""
    for rule in ordered:
        if rule.id == draft.id or not draft.then.decides:
            return None
        if rule.when == draft.when and rule.trusted and rule.then.decides:
            return rule.id
    return None
