"""Vectors on their way to and from PostgreSQL, in binary: as text, reading one costs more than searching by it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from adapters.postgres.vector_tables import DIMENSIONS

Matrix: TypeAlias = npt.NDArray[np.float32]
"""A vector a row."""

_REAL, _REAL_ARRAY = 700, 1021  # object ids that every PostgreSQL has
_ELEMENT = np.dtype([("size", ">i4"), ("value", ">f4")])
_HEADER = np.dtype(">i4")
_SENT_HEADER = 4
"""Bytes before the components in what `vector_send` makes: their number, and two that are unused."""


class Reals:
    """Vectors as one parameter of type `real[]`, all their components in a row; `VECTOR_AT` takes one out."""

    def __init__(self, vectors: Sequence[Sequence[float]]) -> None:
        self.matrix = to_matrix(vectors)


VECTOR_AT = f"(%(vectors)s)[({{n}} - 1) * {DIMENSIONS} + 1 : {{n}} * {DIMENSIONS}]::vector({DIMENSIONS})"
"""The vector at place `n` (from 1) of the parameter `vectors`."""


class _RealsDumper(Dumper):
    format = Format.BINARY
    oid = _REAL_ARRAY

    def dump(self, obj: Reals) -> bytes:
        values = obj.matrix.reshape(-1)
        elements = np.empty(len(values), dtype=_ELEMENT)
        elements["size"], elements["value"] = 4, values
        # Dimensions, no nulls, what the elements are; then the size of the one dimension, and where it begins.
        head = [1, 0, _REAL, len(values), 1] if len(values) else [0, 0, _REAL]
        return np.array(head, dtype=_HEADER).tobytes() + elements.tobytes()


def adapt(connection: psycopg.Connection[Any], _: object = None) -> None:
    """Lets the connection send `Reals`."""
    connection.adapters.register_dumper(Reals, _RealsDumper)


def to_matrix(vectors: Sequence[Sequence[float]]) -> Matrix:
    if not vectors:
        return np.empty((0, DIMENSIONS), dtype=np.float32)
    return np.array(vectors, dtype=np.float32)


def from_sent(sent: Sequence[bytes]) -> Matrix:
    """Vectors as `vector_send` made them."""
    if not sent:
        return np.empty((0, DIMENSIONS), dtype=np.float32)
    raw = np.frombuffer(b"".join(sent), dtype=np.uint8).reshape(len(sent), -1)[:, _SENT_HEADER:]
    return np.ascontiguousarray(raw).view(">f4").astype(np.float32)


def to_arrays(matrix: Matrix) -> list[array[float]]:
    """Rows as sequences of numbers that no object was made for yet."""
    return [array("f", row.tobytes()) for row in matrix]


def nearest_rows(
    ids: Sequence[bytes], stored: Matrix, asked: Matrix, k: int, *, at_once: int = 256
) -> list[list[tuple[bytes, float]]]:
    """For each row of `asked` the `k` ids whose rows of `stored` are nearest by cosine, with that; equally near by id.

    One multiplication of matrices finds who may be among them; those few are then compared in double precision, in
    which equal vectors are equally near whatever stood beside them.
    """
    if not len(stored):
        return [[] for _ in asked]
    lengths = np.linalg.norm(stored, axis=1)
    found: list[list[tuple[bytes, float]]] = []
    for start in range(0, len(asked), at_once):
        some = asked[start : start + at_once]
        some = some / np.linalg.norm(some, axis=1, keepdims=True)
        rough = some @ stored.T / lengths
        place = max(rough.shape[1] - k, 0)
        least = np.partition(rough, place, axis=1)[:, place] - _ROUNDING
        for vector, row, low in zip(some, rough, least, strict=True):
            found.append(_ranked(ids, stored, vector, np.flatnonzero(row >= low), k))
    return found


_ROUNDING = 1e-5
"""More than single precision loses in 384 products of a unit vector."""


def _ranked(
    ids: Sequence[bytes], stored: Matrix, vector: npt.NDArray[np.float32], among: npt.NDArray[np.intp], k: int
) -> list[tuple[bytes, float]]:
    rows = stored[among].astype(np.float64)
    asked = vector.astype(np.float64)
    cosines = (rows * asked).sum(axis=1) / np.sqrt((rows * rows).sum(axis=1) * (asked * asked).sum())
    ranked = sorted(zip(-cosines, (ids[i] for i in among), strict=True))[:k]
    return [(id, -float(negative)) for negative, id in ranked]
