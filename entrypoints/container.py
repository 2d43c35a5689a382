"""The composition root: each use case with its ports bound, by their names. Nothing else wires.

`Container(settings=...)`; tests hand in others: `Container(settings=..., uow=MemoryUnitOfWork(store), llm=None)`.
"""

from __future__ import annotations

from entrypoints.bound.people import People
from entrypoints.bound.sorting import Sorting
from entrypoints.bound.telling import Telling
from entrypoints.bound.work import Work
from entrypoints.parts import Parts


class Container(Parts, People, Sorting, Telling, Work):
    pass
