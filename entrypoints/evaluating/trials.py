"""Trials: the service in a container of its own over the storage in memory, which ends with the trial."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from adapters.memory.state import MemoryStore
from adapters.memory.system import MemorySystem
from adapters.memory.unit_of_work import MemoryUnitOfWork
from adapters.system import SystemClock, SystemIds
from core.domain.categories import Category
from core.domain.decisions import Stage
from core.domain.evaluations import Trial, Tried
from core.domain.records import chunked, normalise, similarity_text
from core.domain.tenants import Actor, worker_actor
from entrypoints.container import Container
from entrypoints.evaluating.life import Life
from entrypoints.evaluating.rows import row_of
from entrypoints.settings import Settings
from ports.connectors import PluginHost
from ports.embedder import Embedder

_AT_ONCE = 1_000
"""Records that are asked about between two words of how far it got."""


class ScratchTrials:
    """The embedder and the plugins are those of the service around it; the LLM, which costs money, is not asked."""

    def __init__(self, settings: Settings, embedder: Embedder | None, host: PluginHost) -> None:
        self._settings = replace(settings, rule_proposals="off", refit_delay_seconds=0.0)
        self._embedder = embedder
        self._host = host

    def run(self, trial: Trial, tell: Callable[[int], None]) -> Sequence[Tried]:
        with structlog.contextvars.bound_contextvars(trial=True):
            try:
                return self._run(trial, tell)
            finally:
                gc.collect()  # a container is full of circles, and holds all that was tried

    def _run(self, trial: Trial, tell: Callable[[int], None]) -> Sequence[Tried]:
        store = MemoryStore(SystemClock(), SystemIds())
        container = Container(
            settings=self._settings,
            uow=MemoryUnitOfWork(store),
            system=MemorySystem(store),
            host=self._host,
            embedder=_knowing(self._embedder, trial),
            llm=None,
        )
        actor = worker_actor(trial.tenant.id)
        _found(container, actor, trial)
        key_of = {category.id: category.key for category in trial.categories}
        id_of = {category.key: category.id for category in trial.categories}
        life = Life(container, actor, id_of)
        life.teach([row_of(lesson, key_of[lesson.category_id]) for lesson in trial.taught])
        tried: list[Tried] = []
        for some in chunked(trial.asked, _AT_ONCE):
            tell(len(tried))
            tried += [
                Tried(
                    category=None if one.category is None else id_of[one.category],
                    stage=Stage(one.stage) if one.stage else None,
                )
                for one in life.arrive([row_of(lesson, key_of[lesson.category_id]) for lesson in some])
            ]
        return tried


def _found(container: Container, actor: Actor, trial: Trial) -> None:
    """The tenant under its own id, with its categories under theirs: so its rules mean what they meant."""
    with container.uow().begin(actor) as tx:
        tx.tenants.add(trial.tenant)
        tx.categories.add(_parents_first(trial.categories))
        tx.rules.add(trial.rules)
        tx.commit()


def _parents_first(categories: Sequence[Category]) -> list[Category]:
    by_id = {category.id: category for category in categories}

    def depth(category: Category) -> int:
        return 0 if category.parent_id is None else 1 + depth(by_id[category.parent_id])

    return sorted(categories, key=depth)


def _knowing(embedder: Embedder | None, trial: Trial) -> Embedder | None:
    """What serves the tenant, and remembers what was embedded of its history."""
    if embedder is None:
        return None
    serving = None if trial.model is None else embedder.of(trial.model)
    if serving is None:
        return embedder
    known = {
        normalise(similarity_text(lesson.record.text, lesson.record.counterparty)): lesson.vector
        for lesson in (*trial.taught, *trial.asked)
        if lesson.vector is not None
    }
    return _Remembering(serving, known)


class _Remembering:
    """An embedder that has some texts embedded already."""

    def __init__(self, embedder: Embedder, known: Mapping[str, Sequence[float]]) -> None:
        self._embedder = embedder
        self._known = known

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    def of(self, model: str) -> Embedder | None:
        return self if model == self.model else self._embedder.of(model)

    def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        fresh = dict(zip(missing, self._embedder.embed(missing), strict=True))
        return [self._known[text] if text in self._known else fresh[text] for text in texts]
