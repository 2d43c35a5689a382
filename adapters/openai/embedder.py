"""Embeddings behind any API that is compatible with OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

import numpy as np
import openai
from openai.types import CreateEmbeddingResponse

from adapters.openai.masking import mask
from core.errors import EmbeddingsRefused, EmbeddingsUnavailable, SortationError
from ports.embedder import Embedder

DIMENSIONS = 384
"""What the columns hold; the models are trained so that the first components of a vector say most."""
_MAX_TEXT_BYTES = 8_000
"""The limit is 8,192 tokens, and no token is shorter than a byte."""
_MAX_TEXTS, _MAX_BYTES = 512, 250_000
"""Of one request; the limits are 2,048 texts and 300,000 tokens."""
_PASSING = {408, 409, 425, 429}
_MAX_MESSAGE = 300
_MAX_RETRY_AFTER = 86_400.0


class OpenAiEmbedder:
    """An `Embedder`; may be shared by threads.

    `base_url` is the API's root (None: OpenAI's own), `timeout` is per call, in seconds. Personal details are masked
    before a text leaves. Never retries: jobs do.
    """

    def __init__(
        self, *, api_key: str | Callable[[], str], base_url: str | None, model: str, timeout: float = 60.0
    ) -> None:
        self._key = api_key if callable(api_key) else lambda: api_key
        self._client = openai.OpenAI(api_key=self._key, base_url=base_url, max_retries=0)
        self._asked_for = model
        self._model = model_name(model, base_url)
        self._timeout = timeout

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    def of(self, model: str) -> Embedder | None:
        return self if model == self.model else None

    def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """Return one unit-length vector per text, in order; what is longer than 8,000 bytes is cut.

        Each distinct text is sent once. Raises EmbeddingsUnavailable (timeout, connection, 429, 5xx;
        `details["retry_after"]` in seconds if the provider names them) or EmbeddingsRefused.
        """
        sendable = {text: _sendable(text) for text in texts}
        vectors: dict[str, Sequence[float]] = {}
        for batch in _batches(list(dict.fromkeys(sendable.values()))):
            vectors |= zip(batch, self._ask(batch), strict=True)
        return [vectors[sendable[text]] for text in texts]

    def _ask(self, texts: Sequence[str]) -> list[Sequence[float]]:
        try:
            response = self._client.embeddings.create(
                model=self._asked_for,
                input=list(texts),
                dimensions=DIMENSIONS,
                encoding_format="float",  # not every server that is like OpenAI's knows base64
                timeout=self._timeout,
            )
        except openai.APITimeoutError as error:
            raise EmbeddingsUnavailable(f"The embeddings did not come within {self._timeout:g} s.") from error
        except openai.APIConnectionError as error:
            raise EmbeddingsUnavailable("The embeddings' server cannot be reached.") from error
        except openai.APIStatusError as error:
            raise self._status_error(error) from None  # which may echo the key
        except (openai.APIError, json.JSONDecodeError) as error:
            raise EmbeddingsUnavailable("The embeddings' server sent what is no valid response.") from error
        # With another content type, or fields left out, the SDK passes on what came.
        if not isinstance(response, CreateEmbeddingResponse) or not response.data:
            raise EmbeddingsRefused(f"What answers at {self._client.base_url} is no embeddings API.")
        given = sorted(response.data, key=lambda one: one.index)
        if [one.index for one in given] != list(range(len(texts))):
            raise EmbeddingsRefused("The embeddings' server left texts out, or answered one twice.")
        lengths = {len(one.embedding) for one in given}
        if lengths != {DIMENSIONS}:
            raise EmbeddingsRefused(f"{self._asked_for} gives {max(lengths)} numbers a vector, not {DIMENSIONS}.")
        matrix = np.array([one.embedding for one in given], dtype=np.float32)
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and norms.all()):
            raise EmbeddingsRefused("The embeddings' server sent a vector without a direction.")
        return [vector.tolist() for vector in matrix / norms]

    def _status_error(self, error: openai.APIStatusError) -> SortationError:
        # Some servers echo the key that they reject.
        told = error.message.replace(self._key(), "***")[:_MAX_MESSAGE]
        status = error.status_code
        if status not in _PASSING and status < 500:
            return EmbeddingsRefused(f"The provider of embeddings refuses this request: {told}", http_status=status)
        waiting = {}
        asked = error.response.headers.get("retry-after", "")
        if asked.replace(".", "", 1).isdecimal():
            waiting["retry_after"] = min(float(asked), _MAX_RETRY_AFTER)
        return EmbeddingsUnavailable(f"Embeddings are not available now: {told}", http_status=status, **waiting)


def model_name(model: str, base_url: str | None) -> str:
    """What vectors are kept under: a model of the same name at another host may be another."""
    host = "openai" if base_url is None else urlsplit(base_url).netloc.rpartition("@")[2]
    return f"{host}/{model}@{DIMENSIONS}"


def _sendable(text: str) -> str:
    """Masked and cut. An empty text, which the API refuses, is sent as a blank."""
    return mask(text).encode()[:_MAX_TEXT_BYTES].decode(errors="ignore") or " "


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) == _MAX_TEXTS or size + length > _MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch
