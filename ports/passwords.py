"""How passwords are hashed: slowly, on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class PasswordHasher(Protocol):
    def hash(self, password: str) -> str: ...

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password. Takes as long for None, when nobody has that account, and is False then."""
        ...

    def guessable(self, password: str, known: Sequence[str]) -> bool:
        """Whether a guesser finds it soon who knows what people take, and these words about them."""
        ...

    def outdated(self, password_hash: str) -> bool:
        """Whether it was hashed in another way than `hash` does now."""
        ...
