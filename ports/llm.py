"""The language model that proposes a category for the records that rules and similarity were not sure of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.domain.llm import LlmEstimate, LlmQuestion, LlmReply, LlmRequest


class Llm(Protocol):
    @property
    def model(self) -> str:
        """The name of the model, as the provider knows it."""
        ...

    @property
    def priced(self) -> bool:
        """Whether prices are configured, so that costs are known."""
        ...

    def keys(self, questions: Sequence[LlmQuestion]) -> Sequence[bytes]:
        """What the answer to each question is kept under (32 bytes): equal for questions that need not be asked twice,
        another where model, prompt, what is offered, or what the examples say changed."""
        ...

    def estimate(self, request: LlmRequest) -> LlmEstimate:
        """What `classify` of the same request will take. Costs nothing and needs no network."""
        ...

    def classify(self, request: LlmRequest) -> LlmReply:
        """Return exactly one answer per record of the request, in the order of the records.

        What the model left out, answered twice, or answered with a category that does not exist is an abstention whose
        rationale says so, and a `fault`. Raises LlmUnavailable when the same request may succeed later
        (`details["retry_after"]`, in seconds, where one is known), and LlmRefused when it never will (bad key, bad
        request); `details["usage"]` is what the calls took all the same (an LlmUsage).
        """
        ...
