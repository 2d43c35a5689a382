"""Argon2id by argon2-cffi, with the cost that OWASP's Password Storage Cheat Sheet asks for at least.

What is easily guessed is told by zxcvbn, which has the 30,000 passwords that people take most often.
"""

from __future__ import annotations

from collections.abc import Sequence

import argon2
import zxcvbn
from argon2.exceptions import InvalidHashError, VerificationError

_PASSES, _KIBIBYTES = 2, 19 * 1024
"""Some 30 ms of a core and 19 MiB, so that many who sign in at once don't exhaust the memory."""

_LONGEST_ESTIMATED = 72
"""Characters; what comes after can only make it harder, and estimating takes longer with the square of them."""
_ENOUGH = 2
"""Of 0 to 4: more than a million guesses, so that those of a locked account (40 a day) take for ever."""


class Argon2Hasher:
    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=_PASSES, memory_cost=_KIBIBYTES, parallelism=1)
        self._nobodys = self._hasher.hash("the password of nobody")

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        try:
            right = self._hasher.verify(password_hash or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return right and password_hash is not None

    def guessable(self, password: str, known: Sequence[str]) -> bool:
        estimate = zxcvbn.zxcvbn(password[:_LONGEST_ESTIMATED], user_inputs=list(known))
        return bool(estimate["score"] < _ENOUGH)

    def outdated(self, password_hash: str) -> bool:
        return self._hasher.check_needs_rehash(password_hash)
