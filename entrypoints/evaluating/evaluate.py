"""Evaluate: taught with one set of rows, asked about another, and about what fits no category."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from core.domain.decisions import Stage
from core.domain.evaluations import Judged, Tried, figures_of
from core.domain.tenants import TenantSettings
from entrypoints.container import Container
from entrypoints.evaluating.life import Life
from entrypoints.evaluating.rows import Row


def evaluate(
    container: Container,
    train: Sequence[Row],
    test: Sequence[Row],
    outside: Sequence[Row],
    *,
    promise: float,
    dated: bool,
) -> dict[str, Any]:
    """Accuracy without abstaining; what is decided alone at the promise, by thresholds out of `train` alone; and of
    `outside`, what fits no category, how well it is told apart (AUROC) and the share decided all the same."""
    started = time.monotonic()
    if not dated:
        # Without dates the order of rows means nothing, and many files are sorted by category.
        train = random.Random(0).sample(list(train), len(train))  # noqa: S311 - the same order each time
    settings = TenantSettings(promise=promise, spot_check_share=0.0)
    life = Life.begin(container, settings, sorted({row.category for row in train}))
    life.teach(train)
    decided = life.arrive(test)
    out = life.arrive(outside) if outside else []
    judged = [
        Judged(
            truth=one.row.category, tried=Tried(category=one.category, stage=Stage(one.stage) if one.stage else None)
        )
        for one in decided
    ]
    return {
        **figures_of(judged, promise),
        "train": len(train),
        "test": len(test),
        "oos_auroc": round(auroc([one.scope for one in decided], [one.scope for one in out]), 4) if out else None,
        "oos_wrongly_decided": round(sum(one.alone for one in out) / len(out), 4) if out else None,
        "seconds": round(time.monotonic() - started, 1),
    }


def auroc(inside: Sequence[float], outside: Sequence[float]) -> float:
    """The chance that one of `inside` scores higher than one of `outside`; ties count half (Mann and Whitney 1947)."""
    ranked = sorted([(score, True) for score in inside] + [(score, False) for score in outside])
    ranks = 0.0
    for _, tied in groupby(enumerate(ranked, 1), key=lambda placed: placed[1][0]):
        group = list(tied)
        middle = (group[0][0] + group[-1][0]) / 2
        ranks += middle * sum(is_inside for _, (_, is_inside) in group)
    return (ranks - len(inside) * (len(inside) + 1) / 2) / (len(inside) * len(outside))
