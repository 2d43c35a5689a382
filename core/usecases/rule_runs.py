"""Rule runs: rules applied to records that were decided before, as a job, and undone again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.domain.decisions import Stage, mix_in
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job, NewJob, Stream
from core.domain.rule_effects import Effect
from core.domain.rule_runs import RuleRun, RunChange, RunCounts, RunStatus
from core.domain.tenants import Actor, worker_actor
from core.errors import Conflict, Invalid
from core.usecases.shared.effects import Chain, alone, effects_on, touched_by, within_reach
from core.usecases.shared.present import moved_decisions, present_filter
from ports.clock import Clock, Ids
from ports.embedder import Embedder
from ports.learner import Learner
from ports.matching import RuleMatcher
from ports.storage import RecordFilter, Transaction, UnitOfWork

PAGE = 5_000
"""Records of one transaction: a worker that is killed loses no more."""


def start_run(
    actor: Actor,
    *,
    rule_ids: Sequence[UUID] | None,
    where: RecordFilter,
    max_attempts: int,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> RuleRun:
    """Applies these rules (None: all) to the stored records in the filter, in the background.

    Raises `NotFound`, or `Invalid` when none of the rules decides anything: a run adds tags and fields to what it
    decides, and nothing else.
    """
    with uow.begin(actor) as tx:
        rules = [tx.rules.get(rule_id) for rule_id in rule_ids or ()]
        if rules and not any(rule.then.decides for rule in rules):
            raise Invalid("none of these rules decides what becomes of a record, so there is nothing to apply")
        reach = within_reach(present_filter(tx, where))
        run = RuleRun(
            id=ids.new(),
            tenant_id=actor.tenant_id,
            job_id=ids.new(),
            status=RunStatus.QUEUED,
            rule_ids=None if rule_ids is None else tuple(dict.fromkeys(rule_ids)),
            where=_write_filter(where),
            counts=RunCounts(total=0 if reach is None else tx.records.count(reach)),
            requested_by=actor.name,
            created_at=clock.now(),
        )
        tx.runs.add(run)
        tx.jobs.add([_job(run, run.job_id, actor, max_attempts, undo=False)])
        tx.commit()
    return run


def undo_run(actor: Actor, run_id: UUID, *, max_attempts: int, uow: UnitOfWork, ids: Ids) -> RuleRun:
    """Restores, in the background, what the run changed and nobody changed since. Raises `NotFound`, or `Conflict` for
    a run that is still under way, or undone."""
    with uow.begin(actor) as tx:
        run = tx.runs.get(run_id, lock=True)
        if run.status not in (RunStatus.DONE, RunStatus.FAILED):
            raise Conflict(f"this run is {run.status.value}; what is done or failed can be undone")
        run = replace(run, status=RunStatus.UNDOING, job_id=ids.new(), failure=None)
        tx.runs.update(run)
        tx.jobs.add([_job(run, run.job_id, actor, max_attempts, undo=True)])
        tx.commit()
    return run


def get_run(actor: Actor, run_id: UUID, *, uow: UnitOfWork) -> RuleRun:
    with uow.begin(actor) as tx:
        return tx.runs.get(run_id)


def list_runs(actor: Actor, *, before: UUID | None, limit: int, uow: UnitOfWork) -> Sequence[RuleRun]:
    with uow.begin(actor) as tx:
        return tx.runs.list(before=before, limit=limit)


def list_run_changes(
    actor: Actor, run_id: UUID, *, after: UUID | None, limit: int, uow: UnitOfWork
) -> Sequence[RunChange]:
    """Raises `NotFound`."""
    with uow.begin(actor) as tx:
        tx.runs.get(run_id)
        return tx.runs.changes(run_id, after=after, limit=limit)


def run_rules(
    job: Job,
    *,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    embedder: Embedder | None,
    learner: Learner | None,
    clock: Clock,
) -> None:
    """Carries out a run or its undoing, page by page, going on where a killed worker stopped. Raises `LeaseLost`."""
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    expected = (RunStatus.UNDOING,) if job.payload["undo"] else (RunStatus.QUEUED, RunStatus.RUNNING)
    with uow.begin(actor) as tx:
        run = tx.runs.get(UUID(job.payload["run_id"]), lock=True)
        if run.job_id != job.id or run.status not in (*expected, RunStatus.FAILED):
            tx.jobs.finish(job)
            tx.commit()
            return
        run = replace(run, status=expected[-1], failure=None)
        tx.runs.update(run)
        tx.commit()
    if job.payload["undo"]:
        _undo(job, run, actor, uow, clock)
    else:
        _apply(job, run, actor, uow, matcher, embedder, learner, clock)


def _apply(
    job: Job,
    run: RuleRun,
    actor: Actor,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    embedder: Embedder | None,
    learner: Learner | None,
    clock: Clock,
) -> None:
    """The newest first: what comes in meanwhile is decided by the rules anyway."""
    where = within_reach(_read_filter(run.where))
    before = UUID(job.progress["before"]) if "before" in job.progress else None
    scope = None if run.rule_ids is None else frozenset(run.rule_ids)
    while where is not None:
        with uow.begin(actor) as tx:
            tenant = tx.tenants.get()
            rules = matcher.ruleset(tenant.id, tenant.rules_version, tx.rules.list)
            page = tx.records.snapshots(present_filter(tx, where), before=before, limit=PAGE)
        if not page:
            break
        chain = Chain(actor=actor, tenant=tenant, uow=uow, matcher=matcher, embedder=embedder, learner=learner)
        records = page
        if scope is not None:
            by_itself = alone([rule for rule in rules.rules if rule.id in scope], chain)
            records, _ = touched_by(page, by_itself, scope, chain)
        found = effects_on(records, rules, scope, chain)
        before = page[-1].id
        with uow.begin(actor) as tx:
            tx.jobs.hold(job, {"before": str(before)})
            decisions = moved_decisions(tx, mix_in([decision for _, decision, _ in found.redecided]))
            written = [
                (decision, record.version) for decision, (record, _, _) in zip(decisions, found.redecided, strict=True)
            ]
            changed = set(tx.records.redecide(run.id, written))
            effects = [change.effect for record, _, change in found.redecided if record.id in changed]
            run = replace(
                run,
                counts=replace(
                    run.counts,
                    seen=run.counts.seen + len(page),
                    newly_decided=run.counts.newly_decided + effects.count(Effect.NEWLY_DECIDED),
                    changed=run.counts.changed + effects.count(Effect.CHANGED),
                    released=run.counts.released + effects.count(Effect.RELEASED),
                    contradicting=run.counts.contradicting + len(found.contradictions),
                    skipped=run.counts.skipped + len(written) - len(changed),
                ),
            )
            tx.runs.update(run)
            hits: Counter[UUID] = Counter()
            for record, decision, _ in found.redecided:
                if record.id in changed and decision.stage is Stage.RULES and decision.rule_id is not None:
                    hits[decision.rule_id] += 1
                if record.id in changed and record.stage == Stage.RULES and record.rule_id is not None:
                    hits[record.rule_id] -= 1
            tx.rules.count_hits(hits, clock.now())
            tx.commit()
    with uow.begin(actor) as tx:
        tx.runs.update(replace(run, status=RunStatus.DONE, finished_at=clock.now()))
        _tell(tx, EventType.RULE_RUN_DONE, run)
        tx.jobs.finish(job)
        tx.commit()


def _undo(job: Job, run: RuleRun, actor: Actor, uow: UnitOfWork, clock: Clock) -> None:
    after = UUID(job.progress["after"]) if "after" in job.progress else None
    while True:
        with uow.begin(actor) as tx:
            tx.jobs.hold(job)
            done = tx.records.restore(run.id, after=after, limit=PAGE)
            if done.last is None:
                break
            after, counts = done.last, run.counts
            tx.jobs.hold(job, {"after": str(after)})
            run = replace(
                run, counts=replace(counts, restored=counts.restored + done.restored, kept=counts.kept + done.kept)
            )
            tx.runs.update(run)
            tx.rules.count_hits(done.hits, clock.now())
            tx.commit()
    with uow.begin(actor) as tx:
        tx.runs.update(replace(run, status=RunStatus.UNDONE, undone_at=clock.now()))
        _tell(tx, EventType.RULE_RUN_UNDONE, run)
        tx.jobs.finish(job)
        tx.commit()


def _job(run: RuleRun, id: UUID, actor: Actor, max_attempts: int, *, undo: bool) -> NewJob:
    return NewJob(
        id=id,
        stream=Stream.RUN,
        payload={"run_id": str(run.id), "undo": undo},
        request_id=actor.request_id,
        source_agent=actor.source_agent,
        max_attempts=max_attempts,
    )


def _tell(tx: Transaction, type: EventType, run: RuleRun) -> None:
    tx.events.append([NewEvent(type=type, subject_id=run.id, payload=asdict(run.counts))])


def _write_filter(where: RecordFilter) -> Mapping[str, Any]:
    """The filter's given parts as JSON."""
    given = {f.name: getattr(where, f.name) for f in fields(where)}
    return {
        name: list(value) if name == "statuses" else str(value)
        for name, value in given.items()
        if value not in (None, ())
    }


def _read_filter(written: Mapping[str, Any]) -> RecordFilter:
    read: dict[str, Any] = {
        "statuses": tuple,
        "category_id": UUID,
        "connection_id": UUID,
        "import_id": UUID,
        "since": date.fromisoformat,
        "until": date.fromisoformat,
        "min_amount": Decimal,
        "max_amount": Decimal,
    }
    return RecordFilter(**{name: read.get(name, str)(value) for name, value in written.items()})
