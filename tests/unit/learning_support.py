"""Lessons that can be learned: shops whose category their text tells, and one whose category only its card tells."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import numpy as np

from adapters.learning.ensemble import VECTOR, LearnedEnsemble
from core.domain.learning import Lesson, Scored
from core.domain.records import Record
from tests.unit.building import a_record

SHOPS = {
    "ZQX QORBEL MARKT": 1,
    "VUMBA KIOSK": 2,
    "PLIRT WERKE": 3,
    "OMDRA HALLE": 4,
    "JAXI TANKSTELLE": 5,
}
"""By the name of each shop, the number of its category."""
AMBIGUOUS, BY_CARD = "GRENTO HANDEL", {"north": 1, "south": 4}


def category(number: int) -> UUID:
    return UUID(int=number << 64)  # ends in NUL bytes, as an id may


UNMOVED = {category(number): category(number) for number in range(1, 100)}
"""The categories as they are while none is merged or deleted."""


def record(number: int, text: str, card: str = "north", **fields: Any) -> Record:
    attributes = {"card": card, "reference": f"R{number * 7919}"}
    return a_record(text, f"-{number % 9 + 1}.50", id=UUID(int=number + 1), attributes=attributes, **fields)


def lesson(of: Record, number: int, **fields: Any) -> Lesson:
    standard: dict[str, Any] = {"weight": 1.0, "vector": None, "arrival": None}
    return Lesson(record=of, category_id=category(number), **{**standard, **fields})


def lessons(count: int, seed: int = 0, first: int = 0) -> list[Lesson]:
    """A sixth of them of the shop whose category the card tells."""
    chance, found = random.Random(seed), []
    for number in range(first, first + count):
        card = chance.choice(["north", "south"])
        text = chance.choice([*SHOPS, AMBIGUOUS])
        answer = BY_CARD[card] if text == AMBIGUOUS else SHOPS[text]
        found.append(lesson(record(number, f"{text} {chance.randrange(1_000):03}", card), answer))
    return found


def worded(number: int) -> str:
    """A word of its own for each number."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def embedded(of: Lesson, dimensions: int = VECTOR) -> list[float]:
    """A unit vector near that of all lessons of the category."""
    towards = np.random.default_rng(of.category_id.int >> 64).standard_normal(dimensions)
    own = np.random.default_rng(of.record.id.int).standard_normal(dimensions)
    vector = towards + 0.5 * own
    return [float(v) for v in vector / np.linalg.norm(vector)]


def storage_of(had: Sequence[Lesson]) -> Callable[[int, int, int], Sequence[Lesson]]:
    """The lessons that were had, as the storage gives them."""

    def earlier(count: int, of: int, seed: int) -> Sequence[Lesson]:
        latest = list(had)[-of:] if of else []
        places = sorted(random.Random(seed).sample(range(len(latest)), min(count, len(latest))))
        return [latest[place] for place in places]

    return earlier


def taught(*sessions: Sequence[Lesson]) -> LearnedEnsemble:
    """An ensemble that learned them session by session, and was stored and loaded in between."""
    ensemble, had = LearnedEnsemble(), list[Lesson]()
    for session in sessions:
        ensemble = LearnedEnsemble.load(ensemble.dump(), UNMOVED)
        ensemble.learn(session, storage_of(had), arrived=len(had) + len(session))
        had += session
    return ensemble


def best(scored: Sequence[Scored]) -> list[UUID]:
    return [one.candidates[0].category_id for one in scored]


def share_right(ensemble: LearnedEnsemble, asked: Sequence[Lesson], **more: Any) -> float:
    said = best(ensemble.score([one.record for one in asked], **more))
    return sum(a == one.category_id for a, one in zip(said, asked, strict=True)) / len(asked)
