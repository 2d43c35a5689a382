"""evaluations:run: what would be decided alone of a tenant's own history, tried in a place of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from core.domain.billing import Terms
from core.domain.evaluations import (
    MOST,
    Evaluation,
    EvaluationStatus,
    Judged,
    Trial,
    check_enough,
    figures_of,
    settings_to_try,
    split,
    worst_categories,
)
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job, NewJob, Stream
from core.domain.plans import Feature
from core.domain.records import DECIDED_BY_PERSON, occurred_on
from core.domain.tenants import Actor, worker_actor
from core.errors import Conflict
from core.usecases.shared.limits import check_feature
from ports.clock import Clock, Ids
from ports.storage import RecordFilter, UnitOfWork
from ports.trials import Trials

_PEOPLE = RecordFilter(statuses=tuple(sorted(DECIDED_BY_PERSON)))
_OPEN = (EvaluationStatus.QUEUED, EvaluationStatus.RUNNING)


def start_evaluation(
    actor: Actor,
    *,
    promise: float | None,
    test: int | None,
    test_share: float,
    with_rules: bool,
    max_attempts: int,
    terms: Terms,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Evaluation:
    """Queues an evaluation at this promise (None: the tenant's) of the latest `MOST` records that people decided.

    Raises `LimitReached`, `TooLittleHistory`, or `Conflict` while another is under way: one holds a worker for
    minutes."""
    with uow.begin(actor) as tx:
        check_feature(tx, Feature.EVALUATIONS, terms, clock)
        tenant = tx.tenants.get()
        check_enough(tx.records.count(_PEOPLE), test)
        if any(other.status in _OPEN for other in tx.evaluations.list(before=None, limit=1)):
            raise Conflict("an evaluation is under way: one at a time")
        evaluation = Evaluation(
            id=ids.new(),
            tenant_id=actor.tenant_id,
            job_id=ids.new(),
            status=EvaluationStatus.QUEUED,
            promise=tenant.settings.promise if promise is None else promise,
            test=test,
            test_share=test_share,
            with_rules=with_rules,
            requested_by=actor.name,
            created_at=clock.now(),
        )
        tx.evaluations.add(evaluation)
        job = NewJob(
            id=evaluation.job_id,
            stream=Stream.EVALUATE,
            payload={"evaluation_id": str(evaluation.id)},
            request_id=actor.request_id,
            source_agent=actor.source_agent,
            max_attempts=max_attempts,
        )
        tx.jobs.add([job])
        tx.commit()
    return evaluation


def get_evaluation(actor: Actor, evaluation_id: UUID, *, uow: UnitOfWork) -> Evaluation:
    with uow.begin(actor) as tx:
        return tx.evaluations.get(evaluation_id)


def list_evaluations(actor: Actor, *, before: UUID | None, limit: int, uow: UnitOfWork) -> Sequence[Evaluation]:
    with uow.begin(actor) as tx:
        return tx.evaluations.list(before=before, limit=limit)


def run_evaluation(job: Job, *, uow: UnitOfWork, trials: Trials, clock: Clock) -> None:
    """Tries, and stores the report. Until then nothing is kept but how far it got: a worker that is killed loses its
    work, and the next one begins anew. Raises `TooLittleHistory`, `LeaseLost`."""
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    started = clock.now()
    with uow.begin(actor) as tx:
        evaluation = tx.evaluations.get(UUID(job.payload["evaluation_id"]))
        tx.jobs.hold(job, {"asked": 0})
        tx.evaluations.update(replace(evaluation, status=EvaluationStatus.RUNNING, failure=None, finished_at=None))
        tenant, categories = tx.tenants.get(), tx.categories.list()
        rules = tx.rules.list() if evaluation.with_rules else ()
        history, there = tx.lessons.latest(MOST), tx.records.count(_PEOPLE)
        model = tx.examples.serving()
        tx.commit()
    taught, newer = split(history, tenant.zone, test=evaluation.test, share=evaluation.test_share)
    # What nobody was asked about stands for nothing but itself: people correct what is wrong, and leave the rest alone.
    asked = [lesson for lesson in newer if lesson.weight is not None]

    def tell(done: int) -> None:
        with uow.begin(actor) as tx:
            tx.jobs.hold(job, {"asked": done, "of": len(asked)})
            tx.commit()

    tried = trials.run(
        Trial(
            tenant=settings_to_try(tenant, evaluation.promise),
            categories=categories,
            rules=rules,
            taught=taught,
            asked=asked,
            model=model,
        ),
        tell,
    )
    judged = [
        Judged(truth=lesson.category_id, tried=one, weight=lesson.weight or 1.0)
        for lesson, one in zip(asked, tried, strict=True)
    ]
    report: dict[str, Any] = {
        **figures_of(judged, evaluation.promise),
        "worst_categories": worst_categories(judged, {category.id: category for category in categories}),
        "train": len(taught),
        "test": len(asked),
        "unasked": len(newer) - len(asked),
        "test_since": occurred_on(newer[0].record.occurred_at, tenant.zone).isoformat(),
        "history": there,
        "most": MOST,
    }
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        finished = clock.now()
        report["seconds"] = round((finished - started).total_seconds(), 1)
        done = replace(evaluation, status=EvaluationStatus.DONE, failure=None, finished_at=finished, report=report)
        tx.evaluations.update(done)
        told = {name: report[name] for name in ("promise", "coverage", "precision", "train", "test")}
        tx.events.append([NewEvent(type=EventType.EVALUATION_DONE, subject_id=evaluation.id, payload=told)])
        tx.jobs.finish(job)
        tx.commit()
