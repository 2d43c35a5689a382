"""The repositories of what is learned from, and of what was learned; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from core.domain.gate import Gate
from core.domain.learning import Arrival, Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEnsemble:
    """What is known of a tenant's ensemble without loading it. `learner` is the version of what made it, `taught` how
    many lessons it had and `arrived` how many records had arrived by then; `gate` is from where on it decides alone."""

    version: int
    learner: str
    taught: int
    arrived: int
    gate: Gate


class Ensembles(Protocol):
    def stored(self) -> StoredEnsemble | None: ...

    def arrays(self) -> tuple[bytes, Mapping[UUID, UUID]]:
        """What the stored ensemble was dumped as, and which each category that there is, or that was merged, is now;
        raises `NotFound`."""
        ...

    def put(self, ensemble: StoredEnsemble, arrays: bytes) -> None:
        """Stores the successor of version `ensemble.version - 1`; raises `Transient` when another was quicker."""
        ...


class Lessons(Protocol):
    def fresh(self, limit: int) -> Sequence[Lesson]:
        """Examples that the ensemble has not had yet, in the order in which their records arrived."""
        ...

    def earlier(self, count: int, of: int, seed: int = 0) -> Sequence[Lesson]:
        """`count` of the latest `of` examples that it had, in that order; drawn at random where `count` is less, the
        same ones with the same `seed` (a signed 64-bit number)."""
        ...

    def latest(self, count: int) -> Sequence[Lesson]:
        """The latest `count` examples in that order, whether the ensemble had them or not, without what was said on
        arrival. Their weight is known wherever a person was asked, also where no ensemble was."""
        ...

    def had(self) -> int:
        """How many of today's examples it had: fewer than it was taught when some were changed or taken back."""
        ...

    def mark(self, learned: Mapping[UUID, UUID]) -> None:
        """The ensemble has had the examples of these records as of these categories; what was changed meanwhile it has
        not had."""
        ...

    def unmark(self) -> None:
        """The ensemble has had none: it learns anew."""
        ...

    def arrive(self, arrivals: Mapping[UUID, Arrival], version: int) -> None:
        """Notes what was said of records by the ensemble of that version (0: while it learned), over what was noted."""
        ...

    def arrived(self, version: int) -> int:
        """How many arrivals of that version are noted."""
        ...

    def latest_scores(self, limit: int) -> Sequence[float]:
        """The stacker's scores of the latest arrivals."""
        ...

    def prune(self, keep: int, window: int) -> None:
        """Forgets arrivals beyond the latest `keep` of which nobody was asked, and the features of answered ones beyond
        the latest `window`."""
        ...
