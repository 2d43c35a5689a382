"""The embedder that the settings name, with those at hand whose vectors still serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ports.embedder import Embedder


class Succession:
    """`present`, an `Embedder`; `former` makes that of another model, if it can be had here, when it is asked for."""

    def __init__(self, present: Embedder, former: Callable[[str], Embedder | None]) -> None:
        self._present = present
        self._make = former
        self._made: dict[str, Embedder | None] = {}

    @property
    def model(self) -> str:
        return self._present.model

    @property
    def dimensions(self) -> int:
        return self._present.dimensions

    def of(self, model: str) -> Embedder | None:
        if model == self.model:
            return self._present
        if model not in self._made:
            self._made[model] = self._make(model)
        return self._made[model]

    def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        return self._present.embed(texts)
