"""A place of its own where the service tries what it would decide, and of which nothing is left afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from core.domain.evaluations import Trial, Tried


class Trials(Protocol):
    def run(self, trial: Trial, tell: Callable[[int], None]) -> Sequence[Tried]:
        """What the real pipeline, taught with `trial.taught`, makes of the records of `trial.asked`, in their order:
        `category` is a category's id, or None. Neither they nor anything else that the tenant has is touched.

        `tell` is called now and then with how many records were asked about; what it raises ends the trial."""
        ...
