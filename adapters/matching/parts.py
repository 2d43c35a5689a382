"""A condition made ready for the compiled matcher; it stays as it is while other rules change around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from adapters.matching.batch import Batch, Probe
from adapters.matching.clues import Choices, choices_of
from adapters.matching.masks import Mask, mask_of
from core.domain.conditions import AllOf, AnyOf, Condition, Leaf, Not, PluginLeaf
from core.domain.regex_literals import literal_options
from core.domain.rule_evaluation import RuleTypes, Verdict, compile_condition
from core.domain.rule_leaves import Regex
from core.errors import SortationError

Ask = Callable[[Batch, Sequence[int]], Sequence[Verdict]]
"""What a condition says of the records at these places of the batch."""

MANY = 64
"""Records from which on a mask over the whole batch costs less than asking each of them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Where a clue is found the condition holds if the `choices` are exact, else `ask` tells. Where there are none
    `mask` tells whom to ask, after its `probes` were looked for. `ask` is None where it is not needed, or `plugins` are
    asked: these come and go, so that closure is made anew with every version of the rules."""

    choices: Choices
    mask: Mask | None
    probes: tuple[Probe, ...]
    ask: Ask | None
    plugins: bool


def part_of(condition: Condition, regex: Regex, rule_type: RuleTypes) -> Part:
    choices = choices_of(condition, regex)
    probes: list[Probe] = []
    plugins = _asks_plugins(condition)
    return Part(
        choices=choices,
        mask=None if choices.options else mask_of(condition, regex, probes),
        probes=tuple(probes),
        ask=None if choices.exact or plugins else ask_of(_left_open(condition, choices, regex), regex, rule_type),
        plugins=plugins,
    )


def _left_open(condition: Condition, choices: Choices, regex: Regex) -> Condition:
    """What is to be asked where a clue was found: not the child that the clue answers."""
    if isinstance(condition, AllOf) and len(choices.options) == 1:
        rest = tuple(child for child in condition.children if not choices_of(child, regex).exact)
        return rest[0] if len(rest) == 1 else AllOf(children=rest)
    return condition


def ask_of(condition: Condition, regex: Regex, rule_type: RuleTypes) -> Ask:
    if isinstance(condition, Leaf) and condition.op == "regex" and condition.field == "text":
        with suppress(SortationError):
            found = _search(str(condition.values[0]), condition.case_sensitive, regex)
            return lambda batch, places: [found(batch.records[place].text) for place in places]
    run = compile_condition(condition, regex, rule_type)
    probes: list[Probe] = []
    mask = mask_of(condition, regex, probes)

    def ask(batch: Batch, places: Sequence[int]) -> Sequence[Verdict]:
        if len(places) < MANY or probes:  # nobody looks for the probes of a part that has clues
            return [run(facts) for facts in batch.each(places)]
        sure, possible = (bounds[list(places)].tolist() for bounds in mask(batch))
        told = zip(places, sure, possible, strict=True)
        return [yes or (maybe and run(batch.facts(place))) for place, yes, maybe in told]

    return ask


def _search(pattern: str, case_sensitive: bool, regex: Regex) -> Callable[[str], bool]:
    """The regex, asked only where all that it requires is in the text, which is told several times as fast."""
    search, options = regex(pattern, case_sensitive), literal_options(pattern)
    if len(options) < 2:  # that one was found already
        return search

    def found(text: str) -> bool:
        folded = text.casefold()
        for words in options:
            for word in words:
                if word in folded:
                    break
            else:
                return False
        return search(text)

    return found


def _asks_plugins(condition: Condition) -> bool:
    match condition:
        case AllOf(children=children) | AnyOf(children=children):
            return any(_asks_plugins(child) for child in children)
        case Not(child=child):
            return _asks_plugins(child)
        case _:
            return isinstance(condition, PluginLeaf)
