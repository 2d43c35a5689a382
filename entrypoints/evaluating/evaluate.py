"""Evaluate: taught with one set of rows, asked about another, and about what fits no category."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

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
    life = Life(container, TenantSettings(promise=promise, spot_check_share=0.0))
    life.know(sorted({row.category for row in train}))
    life.teach(train)
    decided = life.arrive(test)
    out = life.arrive(outside) if outside else []
    alone = [one for one in decided if one.alone]
    right = [one for one in decided if one.category == one.row.category]
    stages = Counter(one.stage for one in alone)
    return {
        "accuracy": round(len(right) / max(len(decided), 1), 4),
        "promise": promise,
        "coverage": round(len(alone) / max(len(decided), 1), 4),
        "precision": round(sum(one.category == one.row.category for one in alone) / len(alone), 4) if alone else None,
        "by_stage": {
            stage: {
                "decided": count,
                "precision": round(
                    sum(one.category == one.row.category for one in alone if one.stage == stage) / count, 4
                ),
            }
            for stage, count in sorted(stages.items(), key=str)
        },
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
