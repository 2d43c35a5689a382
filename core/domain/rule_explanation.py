"""Why a condition holds for a record, or does not: each of its parts, with what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.domain.condition_text import condition_to_text
from core.domain.conditions import AllOf, AnyOf, Condition, Not


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A part of a condition in its text form, whether it holds for the record, and why it could not be asked."""

    text: str
    holds: bool
    error: str | None = None
    parts: tuple[Explanation, ...] = ()


def parts(condition: Condition) -> tuple[Condition, ...]:
    match condition:
        case AllOf(children=children) | AnyOf(children=children):
            return children
        case Not(child=child):
            return (child,)
        case _:
            return ()


def walk(condition: Condition) -> Iterator[Condition]:
    """The condition and all below it, each before its parts."""
    yield condition
    for part in parts(condition):
        yield from walk(part)


def explain(condition: Condition, said: Iterator[tuple[bool, str | None]]) -> Explanation:
    """`said` gives whether each part holds, and why it could not be asked, in the order of `walk`."""
    holds, error = next(said)
    below = tuple(explain(part, said) for part in parts(condition))
    return Explanation(text=condition_to_text(condition), holds=holds, error=error, parts=below)
