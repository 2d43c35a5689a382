"""Online multinomial logistic regression, over hashed sparse features or over embeddings.

Adagrad (Duchi, Hazan, Singer 2011) with one accumulator per feature. Classes may be added at any time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_RATE = 1.0
_BATCH = 64
_START = 1e-3
_UNKNOWN = -30.0
"""The logit of a class that was never learned."""


class Softmax:
    """`weights` (features, classes), `seen` (features: sums of squared gradients), `bias` (classes)."""

    def __init__(self, features: int, classes: int) -> None:
        self.weights: Floats = np.zeros((features, classes), np.float32)
        self.seen: Floats = np.full(features, _START, np.float32)
        self.bias: Floats = np.zeros(classes, np.float32)

    def widen(self, classes: int) -> None:
        more = classes - len(self.bias)
        if more > 0:
            self.weights = np.pad(self.weights, ((0, 0), (0, more)))
            self.bias = np.pad(self.bias, (0, more))

    def logits(self, inputs: Any, known: npt.NDArray[np.bool_]) -> Floats:
        """(n, classes); classes that are not `known` are as good as impossible."""
        found: Floats = np.asarray(inputs @ self.weights + self.bias, np.float32)
        found[:, ~known] = _UNKNOWN
        return found

    def fit(self, inputs: Any, labels: Ints, weights: Floats, smoothing: float = 0.0) -> None:
        """One pass, in the order given. `smoothing` is the share of each label that is spread over all classes (Szegedy
        et al. 2016), as some labels are wrong."""
        for start in range(0, len(labels), _BATCH):
            end = start + _BATCH
            batch, label, weight = inputs[start:end], labels[start:end], weights[start:end]
            if sparse.issparse(batch):
                rows, places = np.unique(batch.indices, return_inverse=True)
                batch = sparse.csr_matrix(
                    (batch.data, places.astype(np.int32), batch.indptr), shape=(len(label), len(rows))
                )
            else:
                rows = np.arange(batch.shape[1])
            error = probabilities(np.asarray(batch @ self.weights[rows] + self.bias))
            error -= smoothing / error.shape[1]
            error[np.arange(len(label)), label] -= 1 - smoothing
            error *= (weight / len(label))[:, None]
            gradient = np.asarray(batch.T @ error)
            self.seen[rows] += np.einsum("ij,ij->i", gradient, gradient)
            self.weights[rows] -= _RATE * gradient / np.sqrt(self.seen[rows])[:, None]
            self.bias -= _RATE * 0.1 * error.sum(0)

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """What there is to keep: the rows that were ever touched."""
        rows = np.flatnonzero(self.seen > _START)
        return {
            f"{prefix}.rows": rows.astype(np.int32),
            f"{prefix}.weights": self.weights[rows].astype(np.float16),
            f"{prefix}.seen": self.seen[rows],
            f"{prefix}.bias": self.bias,
        }

    @classmethod
    def load(cls, prefix: str, features: int, arrays: Any) -> Softmax:
        bias = arrays[f"{prefix}.bias"]
        found = cls(features, len(bias))
        rows = arrays[f"{prefix}.rows"]
        found.weights[rows] = arrays[f"{prefix}.weights"]
        found.seen[rows] = arrays[f"{prefix}.seen"]
        found.bias = bias.copy()
        return found


def probabilities(logits: Floats) -> Floats:
    """Rows that sum to 1."""
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    found: Floats = shifted / shifted.sum(1, keepdims=True)
    return found
