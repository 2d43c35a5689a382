"""The language model that proposes a category for the records that rules and similarity were not sure of."""

from __future__ import annotations

from typing import Protocol

from core.domain.llm import LlmReply, LlmRequest


class Llm(Protocol):
    @property
    def model(self) -> str:
        """The name of the model, as the provider knows it."""
        ...

    def classify(self, request: LlmRequest) -> LlmReply:
        """Return exactly one answer per record of the request, in the order of the records.

        What the model left out, answered twice, or answered with a category that does not exist is an abstention whose
        rationale says so. Raises LlmUnavailable when the same request may succeed later (`details["retry_after"]`,
        in seconds, where the provider names one), and LlmRefused when it never will (bad key, bad request).
        """
        ...
