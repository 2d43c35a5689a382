"""A language model behind any API that is compatible with OpenAI's Chat Completions."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import openai
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice

from adapters.openai.answers import abstain, read_answers
from adapters.openai.prompt import build_prompt
from core.domain.llm import LlmAnswer, LlmReply, LlmRequest, LlmUsage
from core.errors import LlmRefused, LlmUnavailable, SortationError

_PASSING = {408, 409, 425, 429}
_MAX_MESSAGE = 300
_MAX_RETRY_AFTER = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a call brought: the text, its tokens with their log-probabilities (if given), and what was counted."""

    content: str
    tokens: tuple[tuple[bytes, float], ...]
    prompt_tokens: int
    completion_tokens: int


def call_llm(
    client: openai.OpenAI,
    *,
    model: str,
    system: str,
    user: str,
    schema: Mapping[str, Any],
    timeout: float,
    options: Mapping[str, Any],
) -> Completion:
    """Ask the model once, for JSON of the strict schema; every call of Sortation to a language model goes through here.

    `timeout` is in seconds; `options` are further parameters of the API. Never retries: jobs do. Raises LlmUnavailable
    (timeout, connection, 429, 5xx; `details["retry_after"]` in seconds if the provider names one) or LlmRefused
    (`details["parameter"]` if the provider objects to one of the options).
    """
    try:
        completion = client.chat.completions.create(
            model=model,
            messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "answers", "strict": True, "schema": dict(schema)},
            },
            timeout=timeout,
            **options,
        )
    except openai.APITimeoutError as error:
        raise LlmUnavailable(f"The language model did not answer within {timeout:g} s.") from error
    except openai.APIConnectionError as error:
        raise LlmUnavailable("The language model cannot be reached.") from error
    except openai.APIStatusError as error:
        raise _status_error(client, error, options) from error
    except (openai.APIError, json.JSONDecodeError) as error:
        raise LlmUnavailable("The language model's server sent what is no valid response.") from error
    # With another content type, or fields left out, the SDK passes on what came.
    choice = completion.choices[0] if isinstance(completion, ChatCompletion) and completion.choices else None
    if choice is None:
        raise LlmRefused(f"What answers at {client.base_url} is no Chat Completions API.")
    usage = completion.usage
    return Completion(
        content=choice.message.content or "",
        tokens=_tokens(choice),
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
    )


class OpenAiLlm:
    """An `Llm`; may be shared by threads.

    `base_url` is the API's root (None: OpenAI's own); `timeout` is per call, in seconds; `input_price`
    and `output_price` are in US dollars per million tokens, from the provider's price list. Log-probabilities and
    temperature 0 are asked for until the server objects to them.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        model: str,
        timeout: float = 60.0,
        input_price: Decimal | None = None,
        output_price: Decimal | None = None,
    ) -> None:
        self._client = openai.OpenAI(api_key=api_key, base_url=base_url, max_retries=0)
        self._model = model
        self._timeout = timeout
        self._prices = None if input_price is None or output_price is None else (input_price, output_price)
        self._options: Mapping[str, Any] = {"logprobs": True, "temperature": 0}

    @property
    def model(self) -> str:
        return self._model

    def classify(self, request: LlmRequest) -> LlmReply:
        """Answer every record, as `ports.llm.Llm` says: one call, and a second if the first brought broken JSON."""
        started = time.monotonic()
        calls: list[Completion] = []
        answers = self._ask(request, calls)
        prompt_tokens = sum(call.prompt_tokens for call in calls)
        completion_tokens = sum(call.completion_tokens for call in calls)
        usage = LlmUsage(
            model=self._model,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost=self._cost(prompt_tokens, completion_tokens) if all(call.prompt_tokens for call in calls) else None,
            seconds=time.monotonic() - started,
        )
        return LlmReply(answers=answers, usage=usage)

    def _ask(self, request: LlmRequest, calls: list[Completion]) -> tuple[LlmAnswer, ...]:
        if not request.records or not request.categories:
            return tuple(abstain(record.id, "There are no categories to choose from.") for record in request.records)
        prompt = build_prompt(request)
        for user in (prompt.user, prompt.repair):
            completion = self._call(prompt.system, user, prompt.schema)
            calls.append(completion)
            try:
                return read_answers(completion.content, completion.tokens, request)
            except ValueError:
                continue
        return tuple(abstain(record.id, "The model answered with broken JSON, twice.") for record in request.records)

    def _call(self, system: str, user: str, schema: Mapping[str, Any]) -> Completion:
        options = self._options
        while True:
            try:
                return call_llm(
                    self._client,
                    model=self._model,
                    system=system,
                    user=user,
                    schema=schema,
                    timeout=self._timeout,
                    options=options,
                )
            except LlmRefused as error:
                parameter = error.details.get("parameter")
                if parameter is None:
                    raise
                self._options = options = {name: value for name, value in options.items() if name != parameter}

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> Decimal | None:
        if self._prices is None:
            return None
        input_price, output_price = self._prices
        return (prompt_tokens * input_price + completion_tokens * output_price) / 1_000_000


def _status_error(client: openai.OpenAI, error: openai.APIStatusError, options: Mapping[str, Any]) -> SortationError:
    # Some servers echo the key that they reject.
    told = error.message.replace(client.api_key, "***")[:_MAX_MESSAGE]
    details: dict[str, Any] = {"http_status": error.status_code}
    if error.status_code in _PASSING or error.status_code >= 500:
        retry_after = _seconds(error.response.headers.get("retry-after"))
        if retry_after is not None:
            details["retry_after"] = retry_after
        return LlmUnavailable(f"The language model is not available now: {told}", **details)
    if error.status_code in (400, 422):
        parameter = next((name for name in options if error.param == name or name in error.message), None)
        if parameter is not None:
            details["parameter"] = parameter
    return LlmRefused(f"The language model's provider refuses this request: {told}", **details)


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as such or as a date; None if it says neither."""
    if retry_after is None:
        return None
    if retry_after.replace(".", "", 1).isdecimal():
        return min(float(retry_after), _MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER)


def _tokens(choice: Choice) -> tuple[tuple[bytes, float], ...]:
    given = choice.logprobs.content if choice.logprobs else None
    return tuple(
        (bytes(token.bytes) if token.bytes else token.token.encode("utf-8", "replace"), token.logprob)
        for token in given or ()
    )
