"""What orders very many questions by what their answers teach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.domain.ranking import Question


class Ranker(Protocol):
    def worth(self, questions: Sequence[Question]) -> Sequence[float]:
        """What an answer to each is worth, in doubtful questions that it settles: the best is taken first, and counts
        as answered from then on, so that of many that are alike one stands in front. The first some hundreds are taken
        like this; what is left is worth what it still tells after all of them."""
        ...
