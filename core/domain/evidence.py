"""What speaks for the categories that an item of the review queue could get, for a person to read.

An open item must not tell whether it is a spot check. So neither confidence nor stage is told, and an item shows as
many choices whatever its stages said: where the trace has few, what people give most comes after, then the tenant's
other categories. A rule that decides alone, what the LLM said and the text that similarity found nearest are told once
the item is decided: before that they would say which stages were asked, and so whether one had been sure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from itertools import chain, islice
from typing import NamedTuple
from uuid import UUID

from core.domain.decisions import Candidate, Outcome, Stage, StageResult
from core.domain.records import normalise, text_digest

MAX_CHOICES = 5
"""That an item shows: as many as a hand has fingers to choose by."""
COUNTED = 500
"""Examples, the latest, that are counted of each kind of alike ones: to have seen so many is to have seen enough."""
_RULE, _MAX_QUOTED = "rule:", 80


class EvidenceKind(StrEnum):
    SAME_TEXT = "same_text"
    ALIKE = "alike"
    """Of one group: they differ in digits alone."""
    SAME_COUNTERPARTY = "same_counterparty"
    RULE = "rule"
    LLM = "llm"
    NEIGHBOUR = "neighbour"


class Likeness(NamedTuple):
    """By what examples are like a record; it is none of them itself. An empty key is nobody's."""

    record_id: UUID
    group_key: str
    party_key: str
    text_digest: bytes


class AlikeExamples(NamedTuple):
    """Examples of one category that are like a record in one way: how many, and the day on which the last one occurred.
    `more` says that there are more than were looked at."""

    kind: EvidenceKind
    category_id: UUID
    examples: int
    last_on: date | None
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing that speaks for a category. `count`, `more` and `last_on` are those of alike examples; `rule_id` and
    `name` tell a rule; `text` is what the LLM said, or the nearest text that was approved so."""

    kind: EvidenceKind
    words: str = ""
    """The same in one short sentence."""
    count: int | None = None
    more: bool = False
    last_on: date | None = None
    rule_id: UUID | None = None
    name: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A category that an item could get, and what speaks for it, the plainest first."""

    category_id: UUID
    evidence: tuple[Evidence, ...] = ()


def party_key(counterparty: str) -> str:
    """Equal for counterparties that are the same but for case and spaces; empty for none."""
    return text_digest(f"party\x1f{counterparty}").hex()[:32] if normalise(counterparty) else ""


def choices(
    suggested_id: UUID | None,
    said: Sequence[StageResult],
    alike: Iterable[AlikeExamples],
    common: Iterable[UUID],
    now: Mapping[UUID, UUID],
    names: Mapping[UUID, str],
    *,
    decided: bool,
) -> tuple[Choice, ...]:
    """The choices of an item, the best first: what is suggested, then by confidence what the stages proposed, then what
    alike examples have, then `common`, the categories that people give most, then others. `now` tells what became of
    categories, and `names` how those are called; what is gone is left out. All is told of what was `decided`."""
    machines = [result for result in said if result.stage is not Stage.HUMAN]
    proposed = [(result, c) for result in machines for c in result.candidates]
    proposed.sort(key=lambda pair: -pair[1].confidence)
    counted: dict[UUID, list[AlikeExamples]] = {}
    for found in sorted(alike, key=_plainest):
        if (category_id := now.get(found.category_id)) is not None:
            counted.setdefault(category_id, []).append(found)
    ranked = [*([] if suggested_id is None else [suggested_id]), *(c.category_id for _, c in proposed)]
    present = dict.fromkeys(now[id] for id in (*ranked, *counted, *common) if id in now)
    others = (id for id in names if id not in present)
    spoken = _spoken(proposed, machines, now, decided=decided)
    return tuple(
        Choice(
            category_id=id,
            evidence=tuple(
                replace(said, words=_words(said, names[id]))
                for said in (*_examples(counted.get(id, ())), *spoken.get(id, ()))
            ),
        )
        for id in islice(chain(present, others), MAX_CHOICES)
    )


def _words(evidence: Evidence, category: str) -> str:
    """`category` is the name of what it speaks for."""
    match evidence.kind:
        case EvidenceKind.RULE:
            return f"Rule “{evidence.name}” says {category}"
        case EvidenceKind.LLM:
            return f"The language model says: {evidence.text}" if evidence.text else "The language model says so"
        case EvidenceKind.NEIGHBOUR:
            return f"The nearest, “{evidence.text}”, was approved as {category}"
    what = {EvidenceKind.SAME_TEXT: "with the same text", EvidenceKind.ALIKE: "alike"}
    said = what.get(evidence.kind, "of the same counterparty")
    many = f"At least {evidence.count:,}" if evidence.more else f"{evidence.count:,}"
    last = f", last on {evidence.last_on.day} {evidence.last_on:%B %Y}" if evidence.last_on else ""
    return f"{many} {said} approved as {category}{last}"


def _plainest(found: AlikeExamples) -> tuple[int, int, str]:
    """Nearer likeness first, then the commoner category."""
    return list(EvidenceKind).index(found.kind), -found.examples, str(found.category_id)


def _examples(found: Sequence[AlikeExamples]) -> list[Evidence]:
    """A wider likeness that counts no more than a nearer one says nothing new."""
    told: list[Evidence] = []
    for one in found:
        if not told or one.examples > (told[-1].count or 0):
            told.append(Evidence(kind=one.kind, count=one.examples, more=one.more, last_on=one.last_on))
    return told


def _spoken(
    proposed: Sequence[tuple[StageResult, Candidate]],
    machines: Sequence[StageResult],
    now: Mapping[UUID, UUID],
    *,
    decided: bool,
) -> dict[UUID, list[Evidence]]:
    """What the stages said for each category, beside what examples tell; of an open item, what rules suggest."""
    found: dict[UUID, list[Evidence]] = {}
    for result, candidate in proposed:
        if (category_id := now.get(candidate.category_id)) is None:
            continue
        if result.stage is Stage.RULES and (decided or result.outcome is not Outcome.DECIDED):
            if (rule := _rule(result, candidate)) is not None:
                found.setdefault(category_id, []).append(rule)
        elif result.stage is Stage.LLM and decided:
            found.setdefault(category_id, []).append(Evidence(kind=EvidenceKind.LLM, text=candidate.rationale))
    for result in machines if decided else ():
        for category, text in _nearest(result):
            if (category_id := now.get(category)) is not None:
                neighbour = Evidence(kind=EvidenceKind.NEIGHBOUR, text=text[:_MAX_QUOTED])
                found.setdefault(category_id, []).append(neighbour)
    return found


def _rule(result: StageResult, candidate: Candidate) -> Evidence | None:
    if not candidate.source.startswith(_RULE):
        return None
    id = candidate.source.removeprefix(_RULE)
    names = (said["name"] for said in result.evidence if said.get("rule_id") == id and "name" in said)
    return Evidence(kind=EvidenceKind.RULE, rule_id=UUID(id), name=next(names, "?"))


def _nearest(result: StageResult) -> list[tuple[UUID, str]]:
    """The nearest example as its stage noted it: what it was approved as, and its text."""
    return [
        (UUID(said["category_id"]), said["text"])
        for said in result.evidence
        if result.stage is Stage.SIMILARITY and "text" in said and "category_id" in said
    ]
