"""How a record was decided, as a story: its trace step by step, in words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from core.domain.decisions import Outcome, Stage
from core.domain.records import Record, RecordStatus
from entrypoints.console.words import percent

GONE = "a category that is gone"
_TITLES = {
    Stage.RULES: ("Rules", "signpost-split"),
    Stage.SIMILARITY: ("What was approved before", "collection"),
    Stage.LLM: ("Language model", "chat-square-text"),
    Stage.HUMAN: ("A person", "person-check"),
}
_OUTCOMES = {
    Outcome.DECIDED: ("decided", "success"),
    Outcome.UNSURE: ("not sure enough", "secondary"),
    Outcome.REVIEW: ("asks a person", "warning"),
    Outcome.SKIPPED: ("left unsorted", "secondary"),
    Outcome.OFF: ("off", "secondary"),
    Outcome.FAILED: ("failed", "danger"),
    Outcome.WITHDRAWN: ("taken back", "warning"),
}
_AT = re.compile(r"(.*) at (\S+)", re.DOTALL)
_IMPORTED = "human: imported as approved"
_VERDICTS = {"approve": "approved", "override": "corrected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A category that a stage proposed, and what it said for it. `won` says that the stage gave it; `kept`, that the
    record has it now. `link` leads to what proposed it."""

    category_id: str
    category: str
    confidence: float
    said: str
    won: bool
    kept: bool
    link: str | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something else that a stage noted, with where it leads to."""

    text: str
    link: str | None = None
    link_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a stage said, in the order in which they were asked. `threshold` is the confidence from which it may decide
    alone; `at` is known of what people did."""

    stage: str
    title: str
    icon: str
    outcome: str
    tone: str
    said: str
    at: datetime | None
    offers: tuple[Offer, ...]
    told: tuple[Told, ...]
    threshold: float | None
    model: str | None


def steps(record: Record, names: Mapping[str, str]) -> tuple[Step, ...]:
    """`names` has the paths of the categories that there are, by id."""
    trace = record.reasoning_trace or {}
    found = [_step(said, record, names) for said in trace.get("stages", ())]
    if trace.get("reason") == _IMPORTED:
        found.append(_imported(record, names))
    return tuple(found)


def linked(found: Sequence[Step]) -> set[str]:
    """Where the links of these steps lead."""
    offered = {offer.link for step in found for offer in step.offers}
    return {link for link in offered | {told.link for step in found for told in step.told} if link is not None}


def without_lost(found: Sequence[Step], there: Collection[str]) -> tuple[Step, ...]:
    """The same steps; what they name that is not `there` any more is no link."""

    def kept(one: Offer | Told) -> bool:
        return one.link is None or one.link in there

    return tuple(
        replace(
            step,
            offers=tuple(o if kept(o) else replace(o, link=None, by=f"{o.by}, which is gone") for o in step.offers),
            told=tuple(t if kept(t) else replace(t, link=None) for t in step.told),
        )
        for step in found
    )


def summary(record: Record, promise: float) -> str:
    """Why the record is as it is, in a sentence or two. `promise` is the share that must be right, 0 to 1."""
    because = str((record.reasoning_trace or {}).get("reason", ""))
    match record.status:
        case RecordStatus.NEEDS_REVIEW if because.startswith("review: no stage is sure"):
            return (
                "It waits for a person, since no stage was sure enough. A stage decides alone only where people's "
                f"answers show that it keeps the promise that {percent(promise, 0)} of such decisions are right."
            )
        case RecordStatus.NEEDS_REVIEW:
            return f"It waits for a person: {_without_moment(because.removeprefix('review: '))}."
        case RecordStatus.PROCESSED if record.category_id is None:
            return "It was left unsorted: a rule says that such records are not to be sorted."
        case RecordStatus.PROCESSED:
            by = {"rules": "A rule", "similarity": "What was approved before", "llm": "The language model"}
            said = f"{by.get(record.stage or '', 'A stage')} decided it alone"
            return f"{said}{_measured(record)}. A person's word always goes before."
        case RecordStatus.APPROVED | RecordStatus.OVERRIDDEN:
            return "A person decided it. No machine changes that; it teaches what comes after."
        case RecordStatus.HELD:
            return "It is held: there are more records than your plan has room for. It goes on when there is room."
        case RecordStatus.FAILED:
            return f"It could not be sorted: {record.failure or 'the log says why'}."
        case _ if because:
            return f"It is being sorted: it {because}."
    return "It came in, and no stage was asked yet."


def _measured(record: Record) -> str:
    if record.stage == Stage.RULES or record.confidence is None:
        return ""
    needed = f", and {percent(record.threshold)} is needed" if record.threshold is not None else ""
    return f", with a confidence of {percent(record.confidence)}{needed}"


def _step(said: Mapping[str, Any], record: Record, names: Mapping[str, str]) -> Step:
    stage, outcome = Stage(said["stage"]), Outcome(said["outcome"])
    title, icon = _TITLES[stage]
    word, tone = _OUTCOMES[outcome]
    if stage is Stage.RULES and outcome is Outcome.UNSURE:
        word = "do not decide"
    text, at, offers = str(said["reason"]), None, _offers(said, record, names)
    if stage is Stage.HUMAN:
        text, at = _split_moment(text)
        if outcome is Outcome.DECIDED and offers:
            title = offers[0].by or title
            word = _VERDICTS.get(offers[0].said, word)
            text, offers = f"{word} as {offers[0].category}", ()
        else:
            icon = "arrow-counterclockwise"
    return Step(
        stage=stage.value,
        title=title,
        icon=icon,
        outcome=word,
        tone=tone,
        said=text[:1].upper() + text[1:],
        at=at,
        offers=offers,
        told=_told(stage, said.get("evidence", ()), names),
        threshold=said.get("threshold") if stage in (Stage.SIMILARITY, Stage.LLM) else None,
        model=said.get("model") if stage in (Stage.SIMILARITY, Stage.LLM) else None,
    )


def _imported(record: Record, names: Mapping[str, str]) -> Step:
    title, icon = _TITLES[Stage.HUMAN]
    category = names.get(str(record.category_id), GONE)
    return Step(
        stage=Stage.HUMAN.value,
        title=title,
        icon=icon,
        outcome="approved",
        tone="success",
        said=f"Came already sorted, as {category}, in an import of what people had approved",
        at=None,
        offers=(),
        told=(),
        threshold=None,
        model=None,
    )


def _offers(said: Mapping[str, Any], record: Record, names: Mapping[str, str]) -> tuple[Offer, ...]:
    decided = said["outcome"] == Outcome.DECIDED
    return tuple(
        Offer(
            category_id=candidate["category_id"],
            category=names.get(candidate["category_id"], GONE),
            confidence=candidate["confidence"],
            said=candidate["rationale"],
            won=decided and place == 0,
            kept=candidate["category_id"] == str(record.category_id),
            **_source(candidate["source"]),
        )
        for place, candidate in enumerate(said.get("candidates", ()))
    )


def _source(source: str) -> dict[str, Any]:
    """Where what proposed a category is to be seen. An example has the id of the record that it was made of."""
    kind, _, name = source.partition(":")
    match kind:
        case "rule":
            return {"link": f"/rules/{name}", "by": "the rule"}
        case "example":
            return {"link": f"/records/{name}", "by": "the nearest"}
        case "person":
            return {"link": None, "by": name}
        case "agent":
            return {"link": None, "by": f"Agent {name}"}
    return {"link": None, "by": ""}


def _told(stage: Stage, evidence: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> tuple[Told, ...]:
    match stage:
        case Stage.RULES:
            return tuple(_of_rule(noted, names) for noted in evidence if "rule_id" in noted)
        case Stage.SIMILARITY:
            return tuple(_of_neighbour(noted, names) for noted in evidence if "text" in noted)
        case Stage.LLM:
            return tuple(_of_answer(noted) for noted in evidence)
    return ()


def _of_rule(noted: Mapping[str, Any], names: Mapping[str, str]) -> Told:
    link, name = f"/rules/{noted['rule_id']}", noted.get("name", "a rule")
    if "error" in noted:
        return Told(text=f"could not be asked: {noted['error']}", link=link, link_text="A rule")
    then = noted.get("then", {})
    does = [f"says {names.get(then['category'], GONE)}"] if then.get("category") else []
    does += ["asks a person"] if then.get("review") else []
    does += ["leaves it unsorted"] if then.get("skip") else []
    does += [f"tags it {', '.join(then['tags'])}"] if then.get("tags") else []
    return Told(text=f"matched, and {' and '.join(does) or 'does nothing else'}", link=link, link_text=f"“{name}”")


def _of_neighbour(noted: Mapping[str, Any], names: Mapping[str, str]) -> Told:
    alike = f" ({noted['nearest']:.2f} alike)" if "nearest" in noted else ""
    was = f", approved as {names.get(noted['category_id'], GONE)}" if noted.get("category_id") else ""
    return Told(text=f"The nearest text that was approved: “{noted['text']}”{alike}{was}")


def _of_answer(noted: Mapping[str, Any]) -> Told:
    said = "Its confidence was measured" if noted.get("measured") else "Its confidence is what it says of itself"
    kept = "; the answer was kept from an equal question" if noted.get("cached") else ""
    return Told(text=f"{said}{kept}")


def _split_moment(reason: str) -> tuple[str, datetime | None]:
    """“approve by Ada at 2026-03-01T…” without its moment, and that moment."""
    found = _AT.fullmatch(reason)
    if found is None:
        return reason, None
    try:
        at = datetime.fromisoformat(found[2])
    except ValueError:
        return reason, None
    return (found[1], at) if at.tzinfo is not None else (reason, None)


def _without_moment(reason: str) -> str:
    return _split_moment(reason)[0]
