"""The learner: what is made of a tenant's approved records, and says of new ones what they may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from core.domain.learning import Arrival, Lesson, Observations, Scored
from core.domain.records import Sortable


class Ensemble(Protocol):
    """What was learned until one moment. Scoring changes nothing and may be shared by threads."""

    @property
    def taught(self) -> int:
        """How many lessons it had."""
        ...

    @property
    def arrived(self) -> int:
        """How many records had arrived when it was made."""
        ...

    def score(
        self, records: Sequence[Sortable], vectors: Mapping[UUID, Sequence[float]] | None = None
    ) -> Sequence[Scored]:
        """What it says of each record, in order: without `vectors` (by record id) by memory and n-grams alone, quickly;
        with them better. What is said of a record does not depend on which others are asked about."""
        ...

    def learn(
        self, lessons: Sequence[Lesson], earlier: Callable[[int, int, int], Sequence[Lesson]], *, arrived: int
    ) -> Mapping[UUID, Arrival]:
        """Learns from new lessons, in the order of their arrival; before it does, it scores those that have no arrival
        of their own, and returns these arrivals, by record, to be kept. `earlier(n, of, seed)` gives n of the latest
        `of` lessons that it had, oldest first, drawn by the seed where n is less; `arrived` is how many records have
        arrived by now. Changes the ensemble: only the one who loaded it may call this."""
        ...

    def observations(self) -> Observations:
        """What came of the scores of the latest lessons, as they were on arrival."""
        ...

    def dump(self) -> bytes:
        """All of it, as arrays (never pickled objects)."""
        ...


class Learner(Protocol):
    @property
    def version(self) -> str:
        """Rises when what `dump` made before can no longer be loaded: then all is learned anew."""
        ...

    def fresh(self) -> Ensemble: ...

    def load(self, data: bytes, categories: Mapping[UUID, UUID]) -> Ensemble:
        """The ensemble that was dumped, to be taught; `categories` says which each of its categories is now: itself, or
        what it was merged into. Those that it does not name are gone."""
        ...

    def at_hand(
        self,
        tenant_id: UUID,
        version: int,
        tree: str,
        fetch: Callable[[], tuple[bytes, Mapping[UUID, UUID]]],
    ) -> Ensemble:
        """The tenant's ensemble of that version, to ask: kept from the last time, or loaded from what `fetch` gives.
        `tree` is the fingerprint of the categories that there are: with another one it is loaded anew."""
        ...
