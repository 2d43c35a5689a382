"""The words that a text must have for a regular expression to be found in it, whatever else it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

MIN_LITERAL = 3
_MAX_SET = 16
"""Strings that one literal part may spell; with more of them it is cut in two."""
_CLASSES = frozenset("dDwWsS")
_ZERO_WIDTH = frozenset("bBAz")
_META = frozenset("?*+{}[]()|.^$\\")
_REPEAT = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")

_Strings = frozenset[str] | None
_Options = tuple[frozenset[str], ...]
_NOTHING = frozenset({""})


class _GiveUp(Exception):
    """The pattern uses something that this reader does not follow."""


@lru_cache(maxsize=4_096)
def literal_options(pattern: str) -> _Options:
    """Sets of literals; every text that `pattern` (RE2 syntax) is found in has one of each set. Empty: none is known.

    They are runs of 3 or more printable ASCII characters, in lower case: look for them in a case-folded text. Flags,
    `\\Q...\\E`, named groups and numeric escapes give nothing: a reader that guesses would lose matches.
    """
    try:
        options, _, end = _alternatives(pattern, 0)
    except (_GiveUp, IndexError, RecursionError):
        return ()
    return options if end == len(pattern) else ()


def _shortest(strings: frozenset[str]) -> int:
    return min(map(len, strings))


def _alternatives(pattern: str, at: int) -> tuple[_Options, _Strings, int]:
    """What the alternatives require, all that they can spell (None if not just literals), and their end."""
    each: list[_Options] = []
    exact: list[_Strings] = []
    while True:
        options, spelt, at = _sequence(pattern, at)
        each.append(options)
        exact.append(spelt)
        if at == len(pattern) or pattern[at] != "|":
            break
        at += 1
    if len(each) > 1:
        best = [max(options, key=_shortest, default=None) for options in each]
        union = _union(best)
        return () if union is None else (union,), _union(exact), at
    return each[0], exact[0], at


def _union(sets: Sequence[_Strings]) -> _Strings:
    known = [strings for strings in sets if strings is not None]
    return frozenset().union(*known) if len(known) == len(sets) else None


def _sequence(pattern: str, at: int) -> tuple[_Options, _Strings, int]:
    """As `_alternatives`, of what stands up to `|`, `)` or the end.

    It reads the text as parts that are literal throughout; each is a requirement, as are those of groups between them.
    """
    options: list[frozenset[str]] = []
    part = _NOTHING
    whole = True
    while at < len(pattern) and pattern[at] not in "|)":
        required, exact, at = _atom(pattern, at)
        quantifier, at = _quantifier(pattern, at)
        if quantifier in ("?", "*", "{"):
            required = ()
            exact = exact | _NOTHING if quantifier == "?" and exact is not None else None
        if exact is not None and len(part) * len(exact) <= _MAX_SET:
            part = frozenset(head + tail for head in part for tail in exact)
            if quantifier != "+":
                continue
        options.append(part)
        options.extend(required)
        part = _NOTHING if exact is None or len(exact) > _MAX_SET else exact
        whole = False
    options.append(part)
    return tuple(option for option in options if _shortest(option) >= MIN_LITERAL), part if whole else None, at


def _atom(pattern: str, at: int) -> tuple[_Options, _Strings, int]:
    char = pattern[at]
    if char == "(":
        return _group(pattern, at)
    if char == "[":
        return (), None, _after_class(pattern, at)
    if char == "\\":
        return (), _escape(pattern[at + 1]), at + 2
    if char in "?*+{}":
        raise _GiveUp
    if char in "^$":
        return (), _NOTHING, at + 1
    return (), _literal(char), at + 1


def _literal(char: str) -> _Strings:
    return frozenset({char.lower()}) if " " <= char <= "~" and char not in _META else None


def _escape(char: str) -> _Strings:
    if char in _ZERO_WIDTH:
        return _NOTHING
    if char in _CLASSES:
        return None
    if not " " <= char <= "~" or char.isalnum():
        raise _GiveUp
    return None if char == "?" else frozenset({char})  # a text's broken surrogates reach the engine as question marks


def _group(pattern: str, at: int) -> tuple[_Options, _Strings, int]:
    if pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
        raise _GiveUp
    required, exact, at = _alternatives(pattern, at + (3 if pattern.startswith("(?:", at) else 1))
    if pattern[at] != ")":
        raise _GiveUp
    return required, exact, at + 1


def _after_class(pattern: str, at: int) -> int:
    at += 2 if pattern.startswith("[^", at) else 1
    if pattern[at] == "]":
        raise _GiveUp
    while pattern[at] != "]":
        if pattern[at] == "[":
            raise _GiveUp
        at += 2 if pattern[at] == "\\" else 1
    return at + 1


def _quantifier(pattern: str, at: int) -> tuple[str, int]:
    """The quantifier at this place ("" if none) and where what follows it begins."""
    if at == len(pattern) or pattern[at] not in "?*+{":
        return "", at
    quantifier = pattern[at]
    if quantifier == "{":
        repeat = _REPEAT.match(pattern, at)
        if repeat is None:
            raise _GiveUp
        at = repeat.end()
    else:
        at += 1
    return quantifier, at + 1 if pattern[at : at + 1] == "?" else at
