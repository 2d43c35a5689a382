"""What a language model is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmRecord:
    """A record to sort. `id` is the caller's own and is not sent; `amount` is in `currency` (ISO 4217)."""

    id: str
    text: str
    counterparty: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    occurred_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmCategory:
    """A category to choose from. `key` is the caller's own and is not sent; `path` and `description` tell the model."""

    key: str
    path: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmExample:
    """A text that a person has sorted; not sent when `category_key` is none of the request's categories."""

    text: str
    category_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmQuestion:
    """One record with what it is offered, in the order of the tree, and its own examples, the nearest first. Questions
    that go out together share a request (`core.domain.llm_questions`)."""

    record: LlmRecord
    categories: tuple[LlmCategory, ...]
    examples: tuple[LlmExample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmRequest:
    records: tuple[LlmRecord, ...]
    categories: tuple[LlmCategory, ...]
    examples: tuple[LlmExample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmAnswer:
    """A proposed category, or an abstention (`category_key` None, `confidence` 0), with the reason in one sentence.

    `confidence` is 0 to 1: the probability of the tokens that name the category when `measured`, else what the model
    says of itself. The two are not comparable: calibrate them apart.
    """

    record_id: str
    category_key: str | None
    confidence: float
    rationale: str
    measured: bool = False
    fault: bool = False
    """The model did not answer this record as it was told to; asked again, it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmUsage:
    """What a request took, all its calls together.

    `calls` are those that went out, `failed` of them brought no answer. Tokens are as the provider counts them; where
    it does not, and where a call was sent but its answer never came, they are estimated, and the call is one of
    `estimated`. `cost` is in US dollars by the configured prices, None where none are configured; `seconds` is
    wall-clock time.
    """

    model: str
    calls: int
    failed: int
    estimated: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmEstimate:
    """What a request will take, told before it is sent.

    `prompt_tokens`, `completion_tokens` and `cost` are to be expected; `at_most` is a cost that it hardly exceeds, with
    the repair of a broken answer in it. Both in US dollars, None where no prices are configured.
    """

    prompt_tokens: int
    completion_tokens: int
    cost: Decimal | None
    at_most: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmReply:
    """The answers, one per record in the order of the request, and what they took."""

    answers: tuple[LlmAnswer, ...]
    usage: LlmUsage
