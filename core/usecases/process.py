"""records:process: a chunk of records goes through rules and similarity, and is decided in one write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from core.domain.decisions import Decision, Outcome, Stage, failed, mix_in
from core.domain.health import error_line
from core.domain.jobs import Job, NewJob, Stream
from core.domain.learning import Arrival, Scored, arrival_of
from core.domain.llm_questions import batches
from core.domain.records import Snapshot
from core.domain.rule_evaluation import RuleOutcome
from core.domain.rule_stage import hits, rules_result
from core.domain.spot_checks import check_shares
from core.domain.tenants import Actor, Tenant, worker_actor
from core.errors import LeaseLost, Transient
from core.usecases.shared.acting import acting_tenant
from core.usecases.shared.deciding import decision_on, remembering
from core.usecases.shared.history import TenantHistory
from core.usecases.shared.present import present_decisions
from core.usecases.shared.similarity import Similarity, ask_similarity
from ports.clock import Clock, Ids
from ports.embedder import Embedder
from ports.learner import Learner
from ports.matching import RuleMatcher
from ports.storage import UnitOfWork


def process_records(
    job: Job,
    *,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    embedder: Embedder | None,
    learner: Learner | None,
    llm_model: str | None,
    clock: Clock,
    ids: Ids,
) -> None:
    """Decides the still open records of the import and id range that the job names.

    What neither stage is sure of is queued for the LLM, or goes to review when `llm_model` is None. Raises `Transient`
    for what a retry may cure, and `LeaseLost` when another worker took over.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        tenant = acting_tenant(tx)
        rules = matcher.ruleset(tenant.id, tenant.rules_version, tx.rules.list)
        payload = job.payload
        records = tx.records.open_between(UUID(payload["import_id"]), UUID(payload["first"]), UUID(payload["last"]))

    faults: list[tuple[Snapshot, Exception]] = []

    def work(records: Sequence[Snapshot]) -> None:
        """A record that can't be processed is set aside: the chunk is halved around it."""
        try:
            outcomes = rules.evaluate(records, tenant.zone, TenantHistory(actor, uow))
            # Many records of a chunk share an outcome: what is said of it, and written of that, is made once.
            said = {id(outcome): outcome for outcome in outcomes}
            verdicts = {key: rules_result(outcome, tenant.rules_version) for key, outcome in said.items()}
            results = [[verdicts[id(outcome)]] for outcome in outcomes]
            unsure = [i for i, (by_rules,) in enumerate(results) if by_rules.outcome is Outcome.UNSURE]
            alike = ask_similarity(
                [records[i] for i in unsure], actor, tenant, uow=uow, embedder=embedder, learner=learner
            )
            for i, result in zip(unsure, alike.results, strict=True):
                results[i].append(result)
            scored = dict(zip(unsure, alike.scored, strict=False))
            shares = _check_shares(unsure, alike, tenant)
            write = remembering()
            no_llm = "no LLM is configured" if llm_model is None else None
            decisions = [
                decision_on(record, results[i], outcomes[i], tenant, no_llm, write, shares.get(i))
                for i, record in enumerate(records)
            ]
            _write(job, actor, records, mix_in(decisions), outcomes, scored, alike.version, uow, clock, ids)
        except (Transient, LeaseLost):
            raise
        except Exception as error:
            if len(records) == 1:
                faults.append((records[0], error))
            else:
                half = len(records) // 2
                work(records[:half])
                work(records[half:])

    if records:
        work(records)
    if faults and len(faults) == len(records) and not (job.last_attempt and len(records) == 1):
        raise faults[0][1]  # not these records are at fault, but what they all need: the job is tried again
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        tx.records.decide([failed(record.id, error_line(error)) for record, error in faults])
        tx.jobs.finish(job)
        tx.commit()


def _check_shares(places: Sequence[int], alike: Similarity, tenant: Tenant) -> dict[int, float]:
    """The chances of a spot check, by place, of what similarity decided alone by what was learned."""
    gate = alike.gate
    if gate is None:
        return {}
    alone = [
        (place, said)
        for place, said, result in zip(places, alike.scored, alike.results, strict=True)
        if result.outcome is Outcome.DECIDED
    ]
    shares = check_shares(
        [gate.probability(said.score) for _, said in alone],
        [said.staleness for _, said in alone],
        tenant.settings.spot_check_share,
    )
    return dict(zip((place for place, _ in alone), shares, strict=True))


def _arrivals(decisions: Sequence[Decision], scored: Mapping[int, Scored]) -> dict[UUID, Arrival]:
    """What is to be kept of what similarity said, by the record's place. Of records about which nobody is asked, no
    more than the score."""
    return {
        (d := decisions[place]).record_id: arrival_of(said, whole=d.approval is not None or d.open_stage is not None)
        for place, said in scored.items()
    }


def _write(
    job: Job,
    actor: Actor,
    records: Sequence[Snapshot],
    decisions: Sequence[Decision],
    outcomes: Sequence[RuleOutcome],
    scored: Mapping[int, Scored],
    version: int,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> None:
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        decisions = present_decisions(tx, decisions, records)
        changed = set(tx.records.decide(decisions, _arrivals(decisions, scored), version))
        left = {d.record_id for d in decisions if d.open_stage is Stage.LLM and d.record_id in changed}
        tx.jobs.add(
            [
                NewJob(
                    id=ids.new(),
                    stream=Stream.LLM,
                    payload={"records": [str(record.id) for record in some]},
                    request_id=job.request_id,
                    source_agent=job.source_agent,
                    max_attempts=job.max_attempts,
                    trace_parent=job.trace_parent,
                )
                for some in batches(r for r in records if r.id in left)
            ]
        )
        decided = [
            outcome
            for d, outcome in zip(decisions, outcomes, strict=True)
            if d.stage is Stage.RULES and d.record_id in changed
        ]
        tx.rules.count_hits(hits(decided), clock.now())
        tx.commit()
