"""Texts in the manner of card statements, and vectors in the manner of theirs.

400 merchants, each written in five ways at twelve places with changing numbers, are embedded by the local model. All
other vectors are one of these, drawn at random, plus noise of a random direction and a length of 0.15 to 0.55, made
unit length again: cosines of 0.99 to 0.88 to what they came from, as texts of one merchant have (measured: the nearest
other text has 0.79 to 0.96). Every tenant draws from the same, so each has near duplicates of all the others' vectors.
"""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]

NAMES, TRADES, PLACES = (
    words.split()
    for words in (
        "HARBOUR NORTH GREEN CITY OLD ROYAL BLUE FRESH QUICK GOLDEN SILVER PRIME METRO SUN STONE RIVER MAPLE IRON LAKE"
        " SUMMIT",
        "BAKERY PHARMACY SUPERMARKET FUEL PARKING TELECOM INSURANCE RAIL BOOKS HARDWARE COFFEE PIZZERIA HOTEL GYM"
        " CINEMA ELECTRIC WATER TAXI FLORIST DENTAL",
        "LONDON LEEDS BRISTOL YORK BATH DOVER HULL DERBY OXFORD LINCOLN TRURO EXETER",
    )
)
FORMS = (
    "{name} {trade} {number} {place}",
    "CARD PAYMENT {name} {trade} {place} {number}",
    "{name} {trade} LTD {place}",
    "POS {number} {name} {trade}",
    "{name} {trade} {place} REF {number}",
)


def texts(count: int, chance: random.Random) -> list[str]:
    """Distinct ones."""
    found: dict[str, None] = {}
    while len(found) < count:
        form = chance.choice(FORMS)
        text = form.format(
            name=chance.choice(NAMES),
            trade=chance.choice(TRADES),
            place=chance.choice(PLACES),
            number=chance.randrange(1_000, 10_000),
        )
        found[text] = None
    return list(found)


def vectors_like(embedded: Matrix, count: int, chance: np.random.Generator) -> Matrix:
    noise = chance.standard_normal((count, embedded.shape[1]), dtype=np.float32)
    noise *= chance.uniform(0.15, 0.55, (count, 1)).astype(np.float32) / np.linalg.norm(noise, axis=1, keepdims=True)
    made: Matrix = embedded[chance.integers(0, len(embedded), count)] + noise
    return made / np.linalg.norm(made, axis=1, keepdims=True)
