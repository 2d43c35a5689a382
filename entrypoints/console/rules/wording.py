"""Rules in words: what pages say of them, of their evidence, and of what they would change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from core.domain.categories import paths
from core.domain.rule_standing import MIN_ANSWERS, Precision, wilson
from core.domain.rules import Rule
from entrypoints.api.state import container
from entrypoints.console.guard import me

STAGES = {
    "pre": ("First", "Asked before all others."),
    "main": ("Main", "Where most rules stand."),
    "post": ("Last", "Asked when no other rule has said what becomes of a record."),
}
STATES = {
    "on": "On",
    "off": "Off",
    "suggests": "Only suggesting",
    "demoted": "Asking since it was contradicted",
    "unused": "Never hit",
}
EFFECTS = {
    "newly_decided": ("decided without a person", "They wait for a person now; then this settles them."),
    "changed": ("get another category", "They were decided without a person, and change."),
    "released": ("go to a person", "They were decided without a person so far."),
    "contradicting": ("stay as people decided", "People gave them another category; that is not touched."),
}
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def category_names() -> dict[UUID, str]:
    """What categories are called in forms and lists, by id: their path, or where two have the same, their key."""
    categories = container().list_categories(me())
    by_path = paths(categories)
    seen: dict[str, UUID] = {}
    double = {path for id, path in by_path.items() if seen.setdefault(path, id) != id}
    return {c.id: c.key if by_path[c.id] in double else by_path[c.id] for c in categories}


def state_of(rule: Rule) -> set[str]:
    """Which of `STATES` hold for it."""
    held = {"on" if rule.enabled else "off"}
    if not rule.trusted:
        held.add("suggests")
    if rule.demoted:
        held.add("demoted")
    if not rule.hits:
        held.add("unused")
    return held


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A starter pack of the tenant's: its rules, whether they may decide, and what people's answers say of them all."""

    name: str
    rules: int
    trusted: bool
    proved: int
    right: int
    answers: int

    @property
    def precision(self) -> Precision | None:
        if self.answers < MIN_ANSWERS:
            return None
        low, high = wilson(self.right, self.answers)
        return Precision(estimate=self.right / self.answers, low=low, high=high, answers=self.answers)


def packs_of(rules: Iterable[Rule], trusted: Iterable[str]) -> list[Pack]:
    by_name: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.pack is not None:
            by_name.setdefault(rule.pack, []).append(rule)
    return [
        Pack(
            name=name,
            rules=len(of_it),
            trusted=name in set(trusted),
            proved=sum(rule.proved for rule in of_it),
            right=sum(rule.confirmed for rule in of_it),
            answers=sum(rule.confirmed + rule.overridden for rule in of_it),
        )
        for name, of_it in sorted(by_name.items())
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a message; where it stands for a rule or a record, `href` leads there."""

    text: str
    href: str | None = None


def linked(message: str, rules: Mapping[UUID, Rule]) -> Iterator[Piece]:
    """A message with the ids in it as links: to the rule, by its name, or else to the record."""
    at = 0
    for found in _ID.finditer(message):
        if found.start() > at:
            yield Piece(text=message[at : found.start()])
        rule = rules.get(UUID(found[0]))
        if rule is not None:
            yield Piece(text=f"“{rule.name}”", href=f"/rules/{rule.id}")
        else:
            yield Piece(text=f"record {found[0][-6:]}", href=f"/records/{found[0]}")
        at = found.end()
    if at < len(message):
        yield Piece(text=message[at:])
