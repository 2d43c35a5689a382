"""models:refit: the tenant's ensemble learns what people decided since, and its gate follows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from core.domain.decisions import Stage
from core.domain.drift import wanted
from core.domain.gate import RECENT, SHUT, gate_of
from core.domain.jobs import Job, JobStatus, Stream
from core.domain.learning import Lesson
from core.domain.tenants import Actor, worker_actor
from core.usecases.shared.ranking import HEAD, rank_questions
from core.usecases.shared.teaching import RANK, REFIT_SECONDS, queue_ranking
from ports.clock import Clock, Ids
from ports.embedder import Embedder
from ports.learner import Ensemble, Learner
from ports.learning_storage import StoredEnsemble
from ports.ranker import Ranker
from ports.storage import UnitOfWork

SESSION = 20_000
"""Lessons learned at once: what comes after them waits for the next round."""
KEEP = 8_000
"""Arrivals of which nobody was asked that are kept, for the threshold."""
WINDOW = 20_000
"""Answered arrivals whose features are kept, for the stacker."""
AGAIN = timedelta(seconds=2)
WAITS = "another worker learns just now"


def refit(
    job: Job,
    *,
    refit_delay: float = REFIT_SECONDS,
    uow: UnitOfWork,
    learner: Learner,
    embedder: Embedder | None,
    ranker: Ranker,
    clock: Clock,
    ids: Ids,
) -> None:
    """Learns from the examples that the ensemble has not had, and all anew where some were changed or taken back; then
    the queue is ranked, a long one by a job of its own, whose payload says so. What people decide meanwhile is learned
    by the next job, which waits until this one is done.

    Workers go on asking the former ensemble until the new one is committed, whole. Raises `Transient` when another
    worker learned meanwhile, and `LeaseLost`.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    if _waits_for_another(job, actor, uow, clock):
        return
    ranks = job.payload == RANK or _learn(job, actor, uow, learner)
    if ranks and embedder is not None:
        with uow.begin(actor) as tx:
            later = job.payload != RANK and tx.approvals.count_open() > HEAD
            if later:
                queue_ranking(tx, actor, ids, refit_delay)
                tx.commit()
        if not later:
            rank_questions(job, actor, uow, embedder, learner, ranker)
    with uow.begin(actor) as tx:
        tx.jobs.finish(job)
        tx.commit()


def _learn(job: Job, actor: Actor, uow: UnitOfWork, learner: Learner) -> bool:
    """Whether there was anything to learn."""
    first = taken = _session(job, actor, uow, learner)
    while taken == SESSION:
        taken = _session(job, actor, uow, learner)
    return first > 0


def _waits_for_another(job: Job, actor: Actor, uow: UnitOfWork, clock: Clock) -> bool:
    """Two at once would both learn the same, one of them for nothing: the older goes on."""
    with uow.begin(actor) as tx:
        oldest = tx.jobs.list(stream=Stream.REFIT, statuses=[JobStatus.RUNNING], after=None, limit=1)
        if not oldest or oldest[0].id == job.id:
            return False
        tx.jobs.put_off(job, WAITS, due_at=clock.now() + AGAIN)
        tx.commit()
    return True


def _session(job: Job, actor: Actor, uow: UnitOfWork, learner: Learner) -> int:
    """One round; how many lessons were learned in it."""
    with uow.begin(actor) as tx:
        tenant, stored = tx.tenants.get(), tx.ensembles.stored()
        anew = stored is None or stored.learner != learner.version or tx.lessons.had() < stored.taught
        if anew:
            tx.jobs.hold(job)
            tx.lessons.unmark()
            tx.commit()
    with uow.begin(actor) as tx:
        lessons = tx.lessons.fresh(SESSION)
        if not lessons and not (anew and stored is not None):
            return 0
        version = stored.version if stored else 0
        ensemble: Ensemble = learner.fresh() if anew else learner.load(*tx.ensembles.arrays())
        arrived = (stored.arrived if stored else 0) + (tx.lessons.arrived(version) if version else 0)

    def earlier(count: int, of: int, seed: int) -> Sequence[Lesson]:
        with uow.begin(actor) as tx:
            return tx.lessons.earlier(count, of, seed)

    arrivals = ensemble.learn(lessons, earlier, arrived=arrived)
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        # Records are held before their examples, as by who deletes them.
        tx.lessons.arrive(arrivals, 0)
        tx.lessons.mark({lesson.record.id: lesson.category_id for lesson in lessons})
        gate = SHUT
        if lessons or not anew:
            scores = tx.lessons.latest_scores(RECENT)
            strict = wanted(tenant.settings.promise, tx.promises.strictness().get(Stage.SIMILARITY, 0))
            if strict is not None:
                gate = gate_of(ensemble.observations(), scores, ensemble.arrived, strict)
        tx.ensembles.put(
            StoredEnsemble(
                version=version + 1,
                learner=learner.version,
                # Where something was taken back meanwhile, more than there is: then all is learned anew.
                taught=ensemble.taught,
                arrived=ensemble.arrived,
                gate=gate,
            ),
            ensemble.dump(),
        )
        tx.lessons.prune(KEEP, WINDOW)
        tx.commit()
    return len(lessons)
