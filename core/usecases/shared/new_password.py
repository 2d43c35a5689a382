"""A password that somebody chose: checked before it is hashed."""

from __future__ import annotations

import re

from core.domain.people import check_password
from core.errors import Invalid
from ports.passwords import PasswordHasher

_WORDS = re.compile(r"\w{3,}")


def hash_new(password: str, email: str, name: str, hasher: PasswordHasher) -> str:
    """Its hash. Raises `Invalid` for one that is too short, too long, or easily guessed by who knows the person."""
    known = ["sortation", email, *_WORDS.findall(email), *_WORDS.findall(name)]
    if hasher.guessable(check_password(password, email), known):
        raise Invalid("this password is too easily guessed: take another")
    return hasher.hash(password)
