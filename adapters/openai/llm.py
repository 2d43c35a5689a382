"""A language model behind any API that is compatible with OpenAI's Chat Completions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import openai
from circuitbreaker import CircuitBreaker
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice

from adapters.openai.answers import abstain, read_answers
from adapters.openai.metering import Meter, Prices, estimate, whole
from adapters.openai.prompt import Prompt, build_prompt, question_key
from core.domain.llm import LlmAnswer, LlmEstimate, LlmQuestion, LlmReply, LlmRequest
from core.errors import LlmRefused, LlmUnavailable, SortationError

_PASSING = {408, 409, 425, 429}
_NEVER_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
"""Names of the HTTP client's errors that come before a request goes out; which client that is, the SDK chooses."""
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
    (timeout, connection, 429, 5xx; `details["retry_after"]` in seconds if the provider names one, `details["read"]` if
    it may have read the prompt) or LlmRefused (`details["parameter"]` if the provider objects to one of the options).
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
        told = f"The language model did not answer within {timeout:g} s."
        raise LlmUnavailable(told, read=_connected(error)) from error
    except openai.APIConnectionError as error:
        raise LlmUnavailable("The language model cannot be reached.", read=_connected(error)) from error
    except openai.APIStatusError as error:
        raise _status_error(client.api_key, error, options) from None  # which may echo the key
    except (openai.APIError, json.JSONDecodeError) as error:
        raise LlmUnavailable("The language model's server sent what is no valid response.", read=True) from error
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

    `base_url` is the API's root (None: OpenAI's own); `timeout` is per call, in seconds; `prices` are from the
    provider's price list. Log-probabilities and temperature 0 are asked for until the server objects to them. After
    `breaker_failures` failures in a row nothing is sent for `breaker_seconds`; then one call tries whether it is back.
    """

    def __init__(
        self,
        *,
        api_key: str | Callable[[], str],
        base_url: str | None,
        model: str,
        timeout: float = 60.0,
        prices: Prices | None = None,
        breaker_failures: int = 5,
        breaker_seconds: float = 30.0,
    ) -> None:
        self._key = api_key if callable(api_key) else lambda: api_key
        self._client = openai.OpenAI(api_key=self._key, base_url=base_url, max_retries=0)
        self._model = model
        self._timeout = timeout
        self._prices = prices
        self._options: Mapping[str, Any] = {"logprobs": True, "temperature": 0}
        self._breaker = CircuitBreaker(
            failure_threshold=breaker_failures, recovery_timeout=breaker_seconds, expected_exception=LlmUnavailable
        )

    @property
    def model(self) -> str:
        return self._model

    @property
    def priced(self) -> bool:
        return self._prices is not None

    def keys(self, questions: Sequence[LlmQuestion]) -> Sequence[bytes]:
        return [question_key(question, self._model) for question in questions]

    def estimate(self, request: LlmRequest) -> LlmEstimate:
        return estimate(build_prompt(request), len(request.records), self._prices)

    def classify(self, request: LlmRequest) -> LlmReply:
        """Answer every record, as `ports.llm.Llm` says: one call, and a second if the first brought broken JSON."""
        started = time.monotonic()
        meter = Meter()
        try:
            answers = self._ask(request, meter)
        except (LlmUnavailable, LlmRefused) as error:
            error.details["usage"] = meter.usage(self._model, self._prices, time.monotonic() - started)
            raise
        usage = meter.usage(self._model, self._prices, time.monotonic() - started)
        return LlmReply(answers=answers, usage=usage)

    def _ask(self, request: LlmRequest, meter: Meter) -> tuple[LlmAnswer, ...]:
        if not request.records or not request.categories:
            return tuple(abstain(record.id, "There are no categories to choose from.") for record in request.records)
        prompt = build_prompt(request)
        for user in (prompt.user, prompt.repair):
            completion = self._call(prompt, user, meter)
            meter.answered(completion.prompt_tokens, completion.completion_tokens, whole(prompt), completion.content)
            try:
                return read_answers(completion.content, completion.tokens, request)
            except ValueError:
                continue
        told = "The model answered with broken JSON, twice."
        return tuple(abstain(record.id, told, fault=True) for record in request.records)

    def _call(self, prompt: Prompt, user: str, meter: Meter) -> Completion:
        options = self._options
        while True:
            if self._breaker.opened:
                told = f"The language model failed {self._breaker.failure_count} times in a row: it is left in peace."
                raise LlmUnavailable(told, retry_after=max(1.0, self._breaker.open_remaining))
            try:
                with self._breaker:
                    return call_llm(
                        self._client,
                        model=self._model,
                        system=prompt.system,
                        user=user,
                        schema=prompt.schema,
                        timeout=self._timeout,
                        options=options,
                    )
            except LlmUnavailable as error:
                meter.lost(whole(prompt), read=error.details.get("read", False))
                raise
            except LlmRefused as error:
                meter.lost(whole(prompt), read=False)
                parameter = error.details.get("parameter")
                if parameter is None:
                    raise
                self._options = options = {name: value for name, value in options.items() if name != parameter}


def _connected(error: openai.APIConnectionError) -> bool:
    return type(error.__cause__).__name__ not in _NEVER_SENT


def _status_error(key: str, error: openai.APIStatusError, options: Mapping[str, Any]) -> SortationError:
    # Some servers echo the key that they reject.
    told = error.message.replace(key, "***")[:_MAX_MESSAGE]
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
