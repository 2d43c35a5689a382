"""Clues: what is looked for in the texts of a batch to find the records that a condition may hold for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from core.domain.conditions import AllOf, AnyOf, Condition, Leaf
from core.domain.records import clean_text, normalise
from core.domain.regex_literals import literal_options
from core.domain.rule_leaves import Regex
from core.errors import SortationError

TEXT, COUNTERPARTY = 1, 2
START, END = 1, 2
MAX_BYTES = 64
"""Of a literal in the automaton. Of a longer one the beginning is looked for, and the rest checked where it is found:
an automaton grows with every byte."""
KEPT_PATTERNS = 1_024
"""All tenants begin with the same rules, and each pattern is asked for its clues more than once."""

_FIELDS = {"text": TEXT, "counterparty": COUNTERPARTY, "anywhere": TEXT | COUNTERPARTY}
_NEEDS = {"contains": 0, "starts_with": START, "ends_with": END, "equals": START | END, "in": START | END}


@dataclass(frozen=True, slots=True)
class Clue:
    """`literal` (UTF-8) in one of `fields`, at its `START` or `END` where `need` says so.

    Where it is `exact`, its leaf holds where, and only where, one of its clues is found in a normalised text. Else the
    stored text, case-folded, counts as well, and what is found has still to be checked.
    """

    literal: bytes
    need: int
    fields: int
    exact: bool


Clues = tuple[Clue, ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """Ways to find the records that a condition may say anything but no to: each has at least one clue of each of
    `options`. With `exact` there is one option, and a clue found means that the condition says yes."""

    options: tuple[Clues, ...]
    exact: bool


NONE = Choices((), False)


def choices_of(condition: Condition, regex: Regex) -> Choices:
    """`NONE` where nothing in the texts tells."""
    match condition:
        case Leaf():
            return _choices_of_leaf(condition, regex)
        case AnyOf(children=children):
            each = [choices_of(child, regex) for child in children]
            if not all(one.options for one in each):
                return NONE
            best = [max(one.options, key=_shortest) for one in each]
            return Choices((tuple({clue for clues in best for clue in clues}),), all(one.exact for one in each))
        case AllOf(children=children):
            each = [choices_of(child, regex) for child in children]
            if len(each) == 1:
                return each[0]
            return Choices(tuple(clues for one in each for clues in one.options), False)
        case _:
            return NONE


def _shortest(clues: Clues) -> int:
    return min(len(clue.literal) for clue in clues)


def _choices_of_leaf(leaf: Leaf, regex: Regex) -> Choices:
    fields = _FIELDS.get(leaf.field)
    if fields is None:
        return NONE
    if leaf.op == "regex":
        return _choices_of_regex(str(leaf.values[0]), fields, leaf.case_sensitive, regex)
    need = _NEEDS[leaf.op]
    if leaf.case_sensitive:  # folding goes letter by letter, so what is in a text is, folded, in the folded text
        words = {clean_text(str(value)).casefold() for value in leaf.values}
    else:
        words = {normalise(str(value)) for value in leaf.values}
    if "" in words and need != START | END:
        return NONE
    clues = [_clue(word.encode("utf-8", "surrogatepass"), need, fields, not leaf.case_sensitive) for word in words]
    return Choices((tuple(clues),), all(clue.exact for clue in clues))


def _clue(literal: bytes, need: int, fields: int, exact: bool) -> Clue:
    if len(literal) > MAX_BYTES:
        return Clue(literal[:MAX_BYTES], need & START, fields, False)
    return Clue(literal, need, fields, exact)


@lru_cache(maxsize=KEPT_PATTERNS)
def _choices_of_regex(pattern: str, fields: int, case_sensitive: bool, regex: Regex) -> Choices:
    try:
        regex(pattern, case_sensitive)
    except SortationError:
        return NONE
    options = literal_options(pattern)
    return Choices(tuple(tuple(Clue(word.encode(), 0, fields, False) for word in words) for words in options), False)
