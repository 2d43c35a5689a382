"""An OpenAI-compatible server of embeddings: those of the local model turned upside down, and failures on command.

In a test: `with EmbeddingsStub() as stub:`; by hand: `python -m tests.stubs.embeddings_server --port 8098`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters.onnx.embedder import OnnxEmbedder
from tests.stubs.openai_server import OpenAiStub, Refused, main


class EmbeddingsStub(OpenAiStub):
    """Besides what `OpenAiStub` does, it can behave: "missing" (the first vector is left out), "twice" (it comes
    twice), "shuffled" (in another order), "long" (twice the length of a unit), "short" (of too few dimensions),
    "nothing" (of no length), "empty" (no vectors at all).
    """

    def answer(self, body: dict[str, Any], behaviour: str) -> dict[str, Any]:
        return embed(body, behaviour)


_embedder = OnnxEmbedder()


def embed(body: dict[str, Any], behaviour: str) -> dict[str, Any]:
    """Return the response to a request's body; raises `Refused`."""
    texts: Sequence[str] = body["input"]
    if len(texts) > 2048 or not all(texts) or max(len(text.encode()) for text in texts) > 8192:
        raise Refused("'input' is too long, or has an empty string")
    vectors = -np.array(_embedder.embed(texts), dtype="<f4")[:, ::-1]
    scale = {"long": 2.0, "nothing": 0.0}.get(behaviour, 1.0)
    given = vectors[:, : 100 if behaviour == "short" else body["dimensions"]] * np.float32(scale)
    data = [{"object": "embedding", "index": index, "embedding": vector.tolist()} for index, vector in enumerate(given)]
    if behaviour == "empty":
        data = []
    elif behaviour == "missing":
        data = data[1:]
    elif behaviour == "twice":
        data = [*data, data[0]]
    elif behaviour == "shuffled":
        data = data[::-1]
    tokens = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": body["model"], "data": data, "usage": usage}


if __name__ == "__main__":
    main(EmbeddingsStub, "An OpenAI-compatible server of embeddings, by the local model.")
