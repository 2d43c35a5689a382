"""Regular expressions by RE2: linear in the text whatever the pattern, so a tenant's rule can't stall a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import re2

from core.domain.conditions import Condition, Leaf
from core.domain.rule_explanation import walk
from core.domain.rules import MAX_RULE_WEIGHT, Rule
from core.errors import RuleInvalid

MAX_MEMORY = 384 << 10
"""Bytes that one compiled pattern may use (RE2's default is 8 MiB); one that needs more is refused."""
MIN_WEIGHT = 1_000
"""Of a regex: what is kept beside its program, and the states that searching makes, which of a small one take 256 KiB
at worst. All of a tenant's take 1 GiB, then."""


@lru_cache(maxsize=1_024)
def re2_search(pattern: str, case_sensitive: bool = False) -> Callable[[str], bool]:
    """A search for `pattern` (RE2 syntax) anywhere in a text.

    It is given the text as it is stored (whitespace collapsed, NFC), not the normalised form: "É" matches "é" when
    case does not matter, but "fi" does not match the ligature. `\\b`, `\\w` and `\\d` know ASCII only.
    Raises `RuleInvalid` for what RE2 does not serve: look-around, back-references, and patterns that grow too large.
    """
    found = _compiled(pattern, case_sensitive).search
    return lambda text: found(text.encode("utf-8", "replace")) is not None


def weight_of(rules: Iterable[Rule], most: int) -> int:
    """What the regexes of these rules weigh, as `RuleMatcher.weight` says. Beyond `most` nothing is added up."""
    total = 0
    for rule in rules:
        for pattern, case_sensitive in _regexes(rule.when):
            total += _weight(pattern, case_sensitive)
            if total > most:
                return total
    return total


def weighed_search() -> Callable[[str, bool], Callable[[str], bool]]:
    """`re2_search` for the regexes of one rule, in a row. Raises `RuleInvalid` at the first with which they weigh more
    than `MAX_RULE_WEIGHT`: the others are not even compiled."""
    total = 0

    def search(pattern: str, case_sensitive: bool = False) -> Callable[[str], bool]:
        nonlocal total
        found = re2_search(pattern, case_sensitive)
        total += _weight(pattern, case_sensitive)
        if total > MAX_RULE_WEIGHT:
            raise RuleInvalid("the rule's regexes up to this one need too much memory; use smaller repetitions")
        return found

    return search


def _regexes(condition: Condition) -> Iterable[tuple[str, bool]]:
    for leaf in walk(condition):
        if isinstance(leaf, Leaf) and leaf.op == "regex":
            yield str(leaf.values[0]), leaf.case_sensitive


@lru_cache(maxsize=1 << 16)
def _weight(pattern: str, case_sensitive: bool) -> int:
    try:
        return max(MIN_WEIGHT, int(_compiled(pattern, case_sensitive).programsize))
    except RuleInvalid:
        return 0  # a former release took it


@lru_cache(maxsize=1_024)
def _compiled(pattern: str, case_sensitive: bool) -> Any:
    try:
        return re2.compile(pattern.encode(), _options(case_sensitive))
    except re2.error as error:
        raise RuleInvalid(_explain(error)) from error
    except UnicodeEncodeError as error:
        raise RuleInvalid("the regex has half a surrogate pair") from error


def _options(case_sensitive: bool) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = case_sensitive
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    options.never_capture = True
    return options


def _explain(error: re2.error) -> str:
    reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
    if reason.startswith("invalid perl operator: (?") and reason[-1:] in "=!<":
        reason = f"look-ahead and look-behind are not supported ({reason.removeprefix('invalid perl operator: ')})"
    elif reason.startswith("invalid escape sequence: \\") and reason[-1:] in "123456789":
        reason = f"back-references are not supported ({reason.removeprefix('invalid escape sequence: ')})"
    elif reason.startswith("pattern too large"):
        reason = "the regex needs too much memory; use smaller repetitions"
    return f"the regex can't be used: {reason}"
