"""A rule out of one decision: the narrowest condition that still covers the records that are alike.

Alike are those of one group: they differ in digits alone. So the words without digits say what it is about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from core.domain.conditions import MAX_LITERAL, AllOf, Condition, Leaf, condition_to_json, parse_condition
from core.domain.records import Sortable, normalise
from core.domain.regex_literals import MIN_LITERAL
from core.domain.rule_learning import name_of
from core.errors import Invalid, RuleInvalid

MAX_PHRASES = 3
"""Of a text: more make a rule longer, and hardly narrower."""
MAX_WORDS = 8
"""Of a phrase: a page of text is not what a rule is about."""
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDraft:
    """A rule that somebody may make: what its condition is, how that is said in short, and what it gives."""

    name: str
    when: Condition
    category_id: UUID


def draft_rule(record: Sortable, alike: Sequence[Sortable], category_id: UUID, *, torn: bool) -> RuleDraft:
    """A rule that gives the category to the record and all that are `alike`.

    It is by the counterparty, where they have one, else by the words of their texts; by both where the counterparty is
    `torn`: people gave its records other categories, too. Raises `Invalid` where nothing tells these records.
    """
    all_of_them = [record, *alike]
    leaves = _of_counterparty(all_of_them)
    if torn or not leaves:
        leaves += _of_text(all_of_them)
    if not leaves:
        raise Invalid("no words of this record make a rule: write one yourself")
    leaves += _of_flow(all_of_them)
    when = leaves[0] if len(leaves) == 1 else AllOf(children=tuple(leaves))
    return RuleDraft(name=name_of(leaves, record), when=when, category_id=category_id)


def _of_counterparty(records: Sequence[Sortable]) -> list[Leaf]:
    names = {normalise(record.counterparty) for record in records}
    name = names.pop()
    return _sound([Leaf(field="counterparty", op="equals", values=(name,))]) if name and not names else []


def _of_text(records: Sequence[Sortable]) -> list[Leaf]:
    """The whole text where it is the same and has no digits, else the phrases between these that all texts have."""
    texts = {normalise(record.text) for record in records}
    first = normalise(records[0].text)
    whole = Leaf(field="text", op="equals", values=(first,))
    if len(texts) == 1 and not _DIGIT.search(first) and _sound([whole]):
        return [whole]
    shared = [phrase for phrase in _phrases(first) if all(phrase in text for text in texts)]
    longest = sorted(shared, key=len, reverse=True)[:MAX_PHRASES]
    found = _sound([Leaf(field="text", op="contains", values=(p,)) for p in shared if p in longest])
    return found or (_sound([whole]) if len(texts) == 1 else [])


def _phrases(text: str) -> list[str]:
    """The runs of words without digits, in their order."""
    runs: list[list[str]] = [[]]
    for word in text.split(" "):
        if _DIGIT.search(word):
            runs.append([])
        elif len(runs[-1]) < MAX_WORDS:
            runs[-1].append(word)
    phrases = dict.fromkeys(" ".join(run) for run in runs)
    return [phrase for phrase in phrases if sum(map(str.isalnum, phrase)) >= MIN_LITERAL]


def _of_flow(records: Sequence[Sortable]) -> list[Leaf]:
    """The sign of the amounts, where all have one and the same."""
    amounts = [record.amount for record in records]
    for op, holds in (("lt", Decimal.__lt__), ("gt", Decimal.__gt__)):
        if all(amount is not None and holds(amount, Decimal(0)) for amount in amounts):
            return [Leaf(field="amount", op=op, values=(Decimal(0),))]
    return []


def _sound(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Those that a rule can have: neither too long nor with what no rule can write."""
    kept: list[Leaf] = []
    for leaf in leaves:
        value = leaf.values[0]
        if isinstance(value, str) and (normalise(value) != value or len(value) > MAX_LITERAL):
            continue
        try:
            if parse_condition(condition_to_json(leaf)) == leaf:
                kept.append(leaf)
        except RuleInvalid:
            continue
    return kept
