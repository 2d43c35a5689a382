"""What turns texts into vectors, so that texts of like meaning lie close together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Embedder(Protocol):
    @property
    def model(self) -> str:
        """A stable name with its version. Vectors of different names must never be compared."""
        ...

    @property
    def dimensions(self) -> int:
        """The length of each vector."""
        ...

    def of(self, model: str) -> Embedder | None:
        """What embeds as vectors of that name: itself, or another that is at hand while its vectors still serve."""
        ...

    def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """Return one unit-length vector per text, in the order of the texts (so cosine similarity is the dot product).

        Equal texts get equal vectors, whatever they are embedded together with (up to rounding). No texts, no vectors.
        """
        ...
