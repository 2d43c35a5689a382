"""What each `Embedder` promises: the local one, and the one behind an API, over real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from adapters.embedders import Succession
from adapters.onnx.embedder import OnnxEmbedder
from adapters.openai.embedder import OpenAiEmbedder
from ports.embedder import Embedder
from tests.stubs.embeddings_server import EmbeddingsStub

TEXTS = [
    "TESCO STORES 3214 LONDON",
    "SAINSBURYS SUPERMARKET",
    "monthly rent for the flat",
    "SHELL PETROL STATION",
    "Netflix subscription",
    "a much longer description of a payment " * 20,
    "",
]


@pytest.fixture(params=["onnx", "openai", "succession"], scope="module")
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    local = OnnxEmbedder()
    if request.param == "onnx":
        yield local
    elif request.param == "succession":
        yield Succession(local, lambda model: None)
    else:
        with EmbeddingsStub() as stub:
            yield OpenAiEmbedder(api_key="sk-key", base_url=stub.base_url, model="stub-1")


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    return float(np.dot(left, right))


def test_vectors_are_of_unit_length_in_order_and_repeatable(embedder: Embedder) -> None:
    vectors = embedder.embed([*TEXTS, *reversed(TEXTS)])
    assert {len(vector) for vector in vectors} == {embedder.dimensions} == {384}
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(vectors)), abs=1e-5)
    assert vectors == vectors[::-1]
    assert vectors[: len(TEXTS)] == embedder.embed(TEXTS)
    assert embedder.embed([]) == []


@pytest.mark.slow
def test_a_vector_does_not_depend_on_what_it_is_embedded_with(embedder: Embedder) -> None:
    together = embedder.embed([*TEXTS, *(f"filler {number} " * (number * 7 % 40) for number in range(70))])
    alone = [embedder.embed([text])[0] for text in TEXTS]
    assert np.abs(np.array(together[: len(TEXTS)]) - np.array(alone)).max() < 1e-5


@pytest.mark.parametrize(
    ("text", "close", "far"),
    [
        ("The cat sits outside", "A feline is outdoors", "The stock market fell"),
        ("supermarket groceries", "food shopping", "monthly rent for the flat"),
        ("petrol station", "fuel for the car", "Netflix subscription"),
        ("I lost my card", "my bank card has gone missing", "what is the exchange rate"),
        ("TESCO STORES 3214 LONDON", "TESCO STORES 9911 LEEDS", "SHELL PETROL STATION"),
    ],
)
def test_like_meaning_lies_closer(embedder: Embedder, text: str, close: str, far: str) -> None:
    vector, near, away = embedder.embed([text, close, far])
    assert cosine(vector, near) > cosine(vector, away) + 0.2


@pytest.mark.slow
def test_threads_share_one(embedder: Embedder) -> None:
    assert_threads_agree(embedder)


def test_threads_that_meet_while_the_local_one_loads_agree() -> None:
    assert_threads_agree(OnnxEmbedder())


def assert_threads_agree(embedder: Embedder) -> None:
    results: list[list[Sequence[float]]] = []
    threads = [threading.Thread(target=lambda: results.append(embedder.embed(TEXTS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [results[0]] * 4


def test_it_is_at_hand_by_its_name_alone(embedder: Embedder) -> None:
    same = embedder.of(embedder.model)
    assert same is not None
    assert (same.model, same.embed(TEXTS[:1])) == (embedder.model, embedder.embed(TEXTS[:1]))
    assert embedder.of("another@1") is None


def test_the_local_one_needs_no_home_and_no_network_and_stays_quiet(tmp_path: Path) -> None:
    """Also after a fork, where tokenizers warns if its thread pool was in use."""
    script = (
        "import os, socket, sys\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "from adapters.onnx.embedder import OnnxEmbedder\n"
        "embedder = OnnxEmbedder()\n"
        "texts = [f'text {number}' for number in range(50)]\n"
        "print(len(embedder.embed(texts)), flush=True)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    print(len(embedder.embed(texts)), flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    root = Path(__file__).parents[2]
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "50\n50\n", "")
    assert list(home.iterdir()) == []
