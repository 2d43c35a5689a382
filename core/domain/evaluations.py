"""Evaluations: what would be decided alone, and how right, on records whose categories people gave.

Only what a person saw is labelled, and review supplies the hard ones. So each record weighs the inverse of the chance
with which a person was asked about it: the figures are about the stream, not about what went to review.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from core.domain.categories import Category
from core.domain.decisions import Stage
from core.domain.learning import Lesson
from core.domain.promise import Check, Estimate, estimate, tally
from core.domain.records import occurred_on
from core.domain.rules import Rule
from core.domain.tenants import Tenant
from core.errors import TooLittleHistory

MOST = 10_000
"""Records of one evaluation, the latest of the history: it bounds a worker's time and memory."""
FEWEST = 200
"""With less history nothing would be decided alone, whatever the promise."""
SHARE = 0.2
"""Of the history that is asked about, unless somebody says how much."""
FEWEST_ASKED, LARGEST_SHARE = 20, 0.5
WORST = 5
"""Categories named as those that cost the most."""


class EvaluationStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was asked for, and the report once it is done. `test` is how many of the latest records are asked about,
    None for the share `test_share`; `with_rules` says that the tenant's rules act, too."""

    id: UUID
    tenant_id: UUID
    job_id: UUID
    status: EvaluationStatus
    promise: float
    test: int | None
    test_share: float
    with_rules: bool
    requested_by: str
    created_at: datetime
    finished_at: datetime | None = None
    report: Mapping[str, Any] | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is to be tried: a tenant as it would be, with its categories and the rules that shall act, is taught some
    records and asked about others. `model` names the embeddings that lessons come with."""

    tenant: Tenant
    categories: Sequence[Category]
    rules: Sequence[Rule]
    taught: Sequence[Lesson]
    asked: Sequence[Lesson]
    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of a record: the best candidate of all, and the stage that decided alone (None: a person would have
    been asked)."""

    category: Hashable
    stage: Stage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of a record whose category is known, and how many of the stream it stands for."""

    truth: Hashable
    tried: Tried
    weight: float = 1.0

    @property
    def right(self) -> bool:
        return self.tried.category == self.truth


def settings_to_try(tenant: Tenant, promise: float) -> Tenant:
    """The tenant as it is tried: the promise decides, and nobody is there to check anything."""
    settings = replace(tenant.settings, promise=promise, similarity_threshold=None, spot_check_share=0.0)
    return replace(tenant, settings=settings)


def check_enough(history: int, test: int | None) -> None:
    """Raises `TooLittleHistory`, which tells what there is and what is needed."""
    needed = max(FEWEST, 0 if test is None else round(test / LARGEST_SHARE))
    if history < needed:
        raise TooLittleHistory(f"people decided {history:,} records so far; this takes {needed:,}")


def split(
    history: Sequence[Lesson], zone: ZoneInfo, *, test: int | None, share: float
) -> tuple[list[Lesson], list[Lesson]]:
    """The older part, to be taught, and the newer one, to be asked about, each in the order of the calendar (in the
    tenant's time zone), then of arrival. Raises `TooLittleHistory`."""
    check_enough(len(history), test)
    ordered = sorted(history, key=lambda lesson: (occurred_on(lesson.record.occurred_at, zone), lesson.record.id))
    asked = round(len(ordered) * share) if test is None else test
    return ordered[:-asked], ordered[-asked:]


def figures_of(judged: Sequence[Judged], promise: float) -> dict[str, Any]:
    """Accuracy without abstaining; the share that is decided alone, and how right that is, in all and by stage."""
    total = sum(one.weight for one in judged)
    alone = [one for one in judged if one.tried.stage is not None]
    found = _estimate(alone)
    by_stage: dict[Stage, list[Judged]] = defaultdict(list)
    for one in alone:
        assert one.tried.stage is not None  # noqa: S101 - as chosen
        by_stage[one.tried.stage].append(one)
    return {
        "accuracy": round(sum(one.weight for one in judged if one.right) / total, 4) if total else 0.0,
        "promise": promise,
        "coverage": round(sum(one.weight for one in alone) / total, 4) if total else 0.0,
        "precision": _rounded(found),
        "interval": None if found is None else [round(found.low, 4), round(found.high, 4)],
        "by_stage": {
            stage.value: {"decided": len(some), "precision": _rounded(_estimate(some))}
            for stage, some in sorted(by_stage.items())
        },
    }


def worst_categories(judged: Sequence[Judged], categories: Mapping[Hashable, Category]) -> list[dict[str, Any]]:
    """The categories whose records were most often put elsewhere, by how many of the stream that is."""
    of: dict[Hashable, list[Judged]] = defaultdict(list)
    for one in judged:
        of[one.truth].append(one)
    wrong = {truth: sum(one.weight for one in some if not one.right) for truth, some in of.items()}
    named = [truth for truth in wrong if wrong[truth] and truth in categories]
    worst = sorted(named, key=lambda truth: (-wrong[truth], categories[truth].key))[:WORST]
    return [
        {
            "category_id": str(categories[truth].id),
            "key": categories[truth].key,
            "name": categories[truth].name,
            "records": len(of[truth]),
            "accuracy": round(1 - wrong[truth] / sum(one.weight for one in of[truth]), 4),
            "coverage": _share_alone(of[truth]),
            "precision": _rounded(_estimate([one for one in of[truth] if one.tried.stage is not None])),
        }
        for truth in worst
    ]


def _share_alone(judged: Sequence[Judged]) -> float:
    alone = sum(one.weight for one in judged if one.tried.stage is not None)
    return round(alone / sum(one.weight for one in judged), 4)


def _estimate(alone: Sequence[Judged]) -> Estimate | None:
    return estimate(
        tally(
            Check(stage=one.tried.stage, probability=1 / one.weight, right=one.right)
            for one in alone
            if one.tried.stage is not None
        )
    )


def _rounded(found: Estimate | None) -> float | None:
    return None if found is None else round(found.precision, 4)
