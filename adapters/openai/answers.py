"""Reads what the model answered. The model is not trusted: every record gets exactly one answer, or an abstention."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from adapters.openai.prompt import record_ids
from core.domain.llm import LlmAnswer, LlmRequest

_MAX_RATIONALE = 500
# Inside a JSON string a quote has a backslash before it, so a rationale cannot imitate this key.
_CATEGORY = re.compile(rb'(?<!\\)"category"\s*:\s*(-?\d+|null)')


def abstain(record_id: str, rationale: str, *, fault: bool = False) -> LlmAnswer:
    """Return the answer that proposes nothing, with the reason; `fault` says that it is none that the model gave."""
    return LlmAnswer(record_id=record_id, category_key=None, confidence=0.0, rationale=rationale, fault=fault)


def read_answers(content: str, tokens: Sequence[tuple[bytes, float]], request: LlmRequest) -> tuple[LlmAnswer, ...]:
    """Return one answer per record of the request, in their order.

    `tokens` are those of the content with the natural logarithms of their probabilities; none where the provider gives
    none. Raises ValueError when the content is not a JSON object with a list of answers.
    """
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    items = document.get("answers") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise ValueError("there is no list of answers")
    probabilities = category_probabilities(content, tokens)
    measured = probabilities if len(probabilities) == len(items) else [None] * len(items)
    by_id: dict[object, list[LlmAnswer]] = {}
    record_by_id = dict(zip(record_ids(request), request.records, strict=True))
    for item, probability in zip(items, measured, strict=True):
        prompt_id = item.get("id") if isinstance(item, dict) else None
        if isinstance(prompt_id, str) and prompt_id in record_by_id:
            answer = _answer(record_by_id[prompt_id].id, item, probability, request)
            by_id.setdefault(prompt_id, []).append(answer)
    return tuple(_only(record.id, by_id.get(prompt_id, [])) for prompt_id, record in record_by_id.items())


def category_probabilities(content: str, tokens: Sequence[tuple[bytes, float]]) -> list[float]:
    """Return the probability of each "category" value of the content, in order; empty if the tokens don't spell it.

    The token after the value counts too: where digits are tokens of their own, "1" alone is also the start of "12".
    """
    text = content.encode("utf-8", "replace")
    if b"".join(token for token, _ in tokens) != text:
        return []
    spans: list[tuple[int, int, float]] = []
    position = 0
    for token, logprob in tokens:
        spans.append((position, position + len(token), logprob))
        position += len(token)
    values = (match.span(1) for match in _CATEGORY.finditer(text))
    sums = (sum(logprob for begin, end, logprob in spans if begin <= last and end > first) for first, last in values)
    return [min(1.0, math.exp(total)) for total in sums]


def _answer(record_id: str, item: dict[str, Any], probability: float | None, request: LlmRequest) -> LlmAnswer:
    category, rationale = item.get("category"), _clean(item.get("rationale"))
    if category is None:
        return abstain(record_id, rationale or "The model abstained.")
    if type(category) is not int or not 0 <= category < len(request.categories):
        return abstain(record_id, "The model named a category that does not exist.", fault=True)
    return LlmAnswer(
        record_id=record_id,
        category_key=request.categories[category].key,
        confidence=_stated(item.get("confidence")) if probability is None else probability,
        rationale=rationale,
        measured=probability is not None,
    )


def _only(record_id: str, answers: list[LlmAnswer]) -> LlmAnswer:
    if len(answers) == 1:
        return answers[0]
    told = "The model answered this record twice." if answers else "The model left this record out."
    return abstain(record_id, told, fault=True)


def _stated(confidence: object) -> float:
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or confidence != confidence:
        return 0.0
    return float(min(max(confidence, 0), 1))


def _clean(rationale: object) -> str:
    # NUL and lone surrogates are valid in JSON, and no database stores them.
    text = rationale if isinstance(rationale, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_MAX_RATIONALE]
