"""The real SDK over real HTTP against the stub: what is sent, and every fault that a provider is known for."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from adapters.openai.embedder import OpenAiEmbedder
from core.errors import EmbeddingsRefused, EmbeddingsUnavailable
from tests.stubs.embeddings_server import EmbeddingsStub
from tests.stubs.openai_server import RETRY_AFTER

KEY = "sk-secret-key"
TEXTS = ["TESCO STORES 3214 LONDON", "RENT for the flat", "SHELL PETROL STATION"]


@pytest.fixture
def stub() -> Iterator[EmbeddingsStub]:
    with EmbeddingsStub() as stub:
        yield stub


@pytest.fixture
def embedder(stub: EmbeddingsStub) -> OpenAiEmbedder:
    return an_embedder(stub)


def an_embedder(stub: EmbeddingsStub, *, timeout: float = 10.0) -> OpenAiEmbedder:
    return OpenAiEmbedder(api_key=KEY, base_url=stub.base_url, model="stub-1", timeout=timeout)


def test_what_is_sent_is_of_our_dimensions_masked_and_authorised(
    embedder: OpenAiEmbedder, stub: EmbeddingsStub
) -> None:
    embedder.embed(["RENT DE89 3704 0044 0532 0130 00", "card 4111 1111 1111 1111", "", "to jo@mail.example"])
    (sent,) = stub.requests
    assert sent["headers"]["authorization"] == f"Bearer {KEY}"
    assert (sent["model"], sent["dimensions"]) == ("stub-1", 384)
    assert sent["input"] == ["RENT [IBAN]", "card [CARD]", " ", "to [EMAIL]"]


def test_each_distinct_text_is_sent_once_in_requests_that_the_api_takes(
    embedder: OpenAiEmbedder, stub: EmbeddingsStub
) -> None:
    short = [f"text {n % 600}" for n in range(1_300)]
    long = [f"{n} " + "ü" * 7_000 for n in range(40)]
    vectors = embedder.embed([*short, *long])
    assert vectors[:600] == vectors[600:1_200]
    sent = [text for request in stub.requests for text in request["input"]]
    assert len(sent) == len(set(sent)) == 640
    for request in stub.requests:
        assert len(request["input"]) <= 512
        assert sum(len(text.encode()) for text in request["input"]) <= 250_000
    assert max(len(text.encode()) for text in sent) <= 8_000


def test_the_name_tells_apart_hosts_and_models(stub: EmbeddingsStub) -> None:
    names = {
        OpenAiEmbedder(api_key=KEY, base_url=base_url, model=model).model
        for base_url in (None, stub.base_url)
        for model in ("text-embedding-3-small", "text-embedding-3-large")
    }
    assert len(names) == 4
    assert "openai/text-embedding-3-small@384" in names


@pytest.mark.parametrize("behaviour", ["shuffled", "long"])
def test_what_may_differ_between_servers_makes_no_difference(
    embedder: OpenAiEmbedder, stub: EmbeddingsStub, behaviour: str
) -> None:
    stub.behave("ok", behaviour)
    one, other = np.array(embedder.embed(TEXTS)), np.array(embedder.embed(TEXTS))
    assert np.abs(one - other).max() < 1e-6


def test_too_many_requests_is_unavailable_until_retry_after(embedder: OpenAiEmbedder, stub: EmbeddingsStub) -> None:
    stub.behave("429")
    with pytest.raises(EmbeddingsUnavailable) as raised:
        embedder.embed(TEXTS)
    assert raised.value.details == {"http_status": 429, "retry_after": RETRY_AFTER}
    assert len(stub.requests) == 1


@pytest.mark.parametrize("behaviour", ["500", "503", "408", "drop"])
def test_a_passing_fault_is_unavailable_and_the_next_call_works(
    embedder: OpenAiEmbedder, stub: EmbeddingsStub, behaviour: str
) -> None:
    stub.behave(behaviour)
    with pytest.raises(EmbeddingsUnavailable):
        embedder.embed(TEXTS)
    assert len(embedder.embed(TEXTS)) == 3
    assert len(stub.requests) == 2


def test_no_answer_in_time_is_unavailable(stub: EmbeddingsStub) -> None:
    stub.behave("timeout")
    with pytest.raises(EmbeddingsUnavailable, match=r"within 0\.2 s"):
        an_embedder(stub, timeout=0.2).embed(TEXTS)


def test_no_server_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        base_url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(EmbeddingsUnavailable):
            OpenAiEmbedder(api_key=KEY, base_url=base_url, model="stub-1").embed(TEXTS)


@pytest.mark.parametrize(
    "behaviour", ["400", "401", "403", "404", "html", "missing", "twice", "short", "nothing", "empty"]
)
def test_what_will_never_work_is_refused_without_telling_the_key(
    embedder: OpenAiEmbedder, stub: EmbeddingsStub, behaviour: str
) -> None:
    stub.behave(behaviour)
    with pytest.raises(EmbeddingsRefused) as raised:
        embedder.embed(TEXTS)
    assert KEY not in json.dumps([str(raised.value), raised.value.details])
    assert len(stub.requests) == 1
