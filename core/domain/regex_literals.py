"""The words that a text must have for a regular expression to be found in it, whatever else it says."""

from __future__ import annotations

import re

MIN_LITERAL = 3
_PLAIN_ESCAPES = frozenset("bBdDwWsSAz")
_DROPPING = frozenset("?*{")
_REPEAT = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")


class _GiveUp(Exception):  # noqa: N818  (control flow, never seen outside)
    """The pattern uses something that this reader does not follow."""


def required_literals(pattern: str) -> frozenset[str] | None:
    """Literals of which at least one is in every text that `pattern` (RE2 syntax) is found in, or None if unknown.

    They are runs of 3 or more ASCII letters and digits, in lower case: look for them in a case-folded text. Flags,
    `\\Q...\\E`, named groups and numeric escapes give None: a reader that guesses would lose matches.
    """
    try:
        literals, end = _alternatives(pattern, 0)
    except (_GiveUp, IndexError, RecursionError):
        return None
    return literals if end == len(pattern) else None


def _alternatives(pattern: str, at: int) -> tuple[frozenset[str] | None, int]:
    found: list[frozenset[str] | None] = []
    while True:
        literals, at = _sequence(pattern, at)
        found.append(literals)
        if at == len(pattern) or pattern[at] != "|":
            break
        at += 1
    known = [literals for literals in found if literals is not None]
    return (frozenset().union(*known) if len(known) == len(found) else None), at


def _sequence(pattern: str, at: int) -> tuple[frozenset[str] | None, int]:
    """The best requirement of what stands up to `|`, `)` or the end: the one whose shortest literal is longest."""
    options: list[frozenset[str]] = []
    run = ""
    while at < len(pattern) and pattern[at] not in "|)":
        start, group = at, None
        if pattern[at] == "(":
            group, at = _group(pattern, at)
        else:
            at = _after_atom(pattern, at)
        quantifier, at = _quantifier(pattern, at)
        if group is None and pattern[start].isascii() and pattern[start].isalnum():
            if quantifier not in _DROPPING:
                run += pattern[start].lower()
            if not quantifier:
                continue
        elif group is not None and quantifier not in _DROPPING:
            options.append(group)
        options.append(frozenset({run}))
        run = ""
    options.append(frozenset({run}))
    best = max(options, key=lambda literals: min(map(len, literals)))
    return (best if min(map(len, best)) >= MIN_LITERAL else None), at


def _group(pattern: str, at: int) -> tuple[frozenset[str] | None, int]:
    if pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
        raise _GiveUp
    literals, at = _alternatives(pattern, at + (3 if pattern.startswith("(?:", at) else 1))
    if pattern[at] != ")":
        raise _GiveUp
    return literals, at + 1


def _after_atom(pattern: str, at: int) -> int:
    char = pattern[at]
    if char == "[":
        return _after_class(pattern, at)
    if char == "\\":
        escaped = pattern[at + 1]
        if escaped not in _PLAIN_ESCAPES and (not escaped.isascii() or escaped.isalnum()):
            raise _GiveUp
        return at + 2
    if char in "?*+{}":
        raise _GiveUp
    return at + 1


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
