"""Similarity learns from people through real storage, decides alone at the promise, and nothing is torn or lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
import pytest

from adapters.learning.ensemble import LearnedEnsemble
from adapters.learning.learner import EnsembleLearner
from core.domain.approvals import Answer, Verdict
from core.domain.decisions import Stage
from core.domain.jobs import Job, JobStatus, NewJob, Stream
from core.domain.permissions import GRANTABLE
from core.domain.records import Record, RecordStatus
from core.domain.tenants import Actor, TenantSettings
from core.usecases.refit import WAITS
from core.usecases.shared.teaching import RANK
from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.worker.inline import drain
from entrypoints.worker.runner import run_job
from ports.learning_storage import StoredEnsemble
from ports.storage import RecordFilter
from tests.integration.api_support import LEASE_RUNS_OUT, Api, add_rule

TRUTH = {
    "ZQX QORBEL": "food.groceries",
    "VUMBA KIOSK": "housing.rent",
    "PLIRT WERKE": "transport.fuel",
    "OMDRA HALLE": "food.restaurants",
}
HEADER = "Date;Description;Amount;Currency;Category\n"
UNHEARD_OF = "1899 unheard"


class Watched(EnsembleLearner):
    """A learner that lets a test do something while it learns or is about to be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.after_learning: list[Callable[[], Any]] = []
        self.before_dump: list[Callable[[], Any]] = []
        self.before_loading: list[Callable[[], Any]] = []
        self.before_scoring: list[Callable[[], Any]] = []
        self.asked: list[tuple[int, int]] = []
        """Versions that were asked for, and how many lessons what was given had."""

    def forget(self) -> None:
        """Of what is at hand."""
        self._kept.clear()

    def fresh(self) -> LearnedEnsemble:
        return self._watched(super().fresh())

    def load(self, *stored: Any) -> LearnedEnsemble:
        return self._watched(super().load(*stored))

    def at_hand(self, tenant_id: UUID, version: int, *more: Any) -> LearnedEnsemble:
        _once(self.before_loading)
        found = super().at_hand(tenant_id, version, *more)
        self.asked.append((version, found.taught))
        return found

    def _watched(self, ensemble: LearnedEnsemble) -> LearnedEnsemble:
        learn, dump, score = ensemble.learn, ensemble.dump, ensemble.score

        def and_then(*given: Any, **named: Any) -> Any:
            told = learn(*given, **named)
            _once(self.after_learning)
            return told

        def dumped() -> bytes:
            _once(self.before_dump)
            return dump()

        def scored(*given: Any) -> Any:
            _once(self.before_scoring)
            return score(*given)

        for name, method in {"learn": and_then, "dump": dumped, "score": scored}.items():
            setattr(ensemble, name, method)
        return ensemble


def _once(hooks: list[Callable[[], Any]]) -> None:
    while hooks:
        hooks.pop()()


class Books:
    """A tenant's books: records come, and somebody who knows the truth answers."""

    def __init__(self, container: Container, learner: Watched, settings: TenantSettings) -> None:
        tenant, _ = container.create_tenant("Learning", time_zone="Europe/Berlin", settings=settings)
        self.actor = Actor(tenant_id=tenant.id, name="a tester", permissions=GRANTABLE)
        self.container, self.learner = container, learner
        with container.uow().begin(self.actor) as tx:  # at once: there are hundreds
            for rule in tx.rules.list():
                tx.rules.delete(rule.id, None)
            tx.commit()
        self.category = {c.key: c.id for c in container.list_categories(self.actor)}
        self._brought = 0

    def bring(self, texts: Sequence[str], keys: Sequence[str] = (), *, run: bool = True) -> UUID:
        """With `keys` as history that is sorted already."""
        rows = []
        for place, text in enumerate(texts):
            self._brought += 1
            key = keys[place] if keys else ""
            rows.append(f"2026-03-{place % 28 + 1:02};{text};-{self._brought}.50;EUR;{key}\n")
        payload = (HEADER + "".join(rows)).encode()
        received = self.container.receive_import(self.actor, [payload], filename="x.csv", approved=bool(keys))
        if run:
            self.drain()
        imported: UUID = received.id
        return imported

    def drain(self) -> None:
        drain(self.container, self.actor.tenant_id)

    def run(self, *streams: Stream) -> None:
        """Runs the open jobs of these streams, stream by stream, and no others."""
        open_ones = [JobStatus.QUEUED.value]
        for stream in streams:
            for job in self.container.list_jobs(self.actor, stream=stream.value, statuses=open_ones, limit=100):
                run_job(self.container, self.actor.tenant_id, job.id)

    def teach(self, texts: Sequence[str]) -> None:
        """Brings them as history that is sorted already, so far that the ensemble is to learn them."""
        self.bring(texts, keys(texts), run=False)
        self.run(Stream.INGEST)
        self.run(Stream.EMBED)

    def refit(self, actor: Actor | None = None) -> UUID:
        """Queues a job that learns, beside any that there is."""
        new = NewJob(id=self.container.ids().new(), stream=Stream.REFIT, payload={})
        with self.container.uow().begin(actor or self.actor) as tx:
            tx.jobs.add([new])
            tx.commit()
        return new.id

    def records(self, import_id: UUID) -> list[Record]:
        page = self.container.list_records(self.actor, RecordFilter(import_id=import_id), after=None, limit=500)
        return [self.container.get_record(self.actor, row["id"]) for row in page]

    def answer_all(self, *, run: bool = True) -> int:
        items = self.container.list_queue(self.actor, after=None, limit=500)
        answers = []
        for item in items:
            wanted = self.category[TRUTH[item.record.text[:-4]]]
            verdict = Verdict.APPROVE if item.approval.suggested_id == wanted else Verdict.OVERRIDE
            answers.append(Answer(approval_id=item.approval.id, verdict=verdict, category_id=wanted))
        self.container.decide_approvals(self.actor, answers)
        if run:
            self.drain()
        return len(answers)

    def change(self, record_id: UUID, key: str) -> None:
        self.container.change_record(
            self.actor, record_id, version=None, category_id=self.category[key], tags=None, attributes=None
        )

    def ensemble(self) -> StoredEnsemble:
        with self.container.uow().begin(self.actor) as tx:
            stored = tx.ensembles.stored()
        assert stored is not None
        return stored

    def had(self) -> int:
        with self.container.uow().begin(self.actor) as tx:
            return tx.lessons.had()

    def said_of(self, record: Record) -> LearnedEnsemble:
        """What the stored ensemble says of a record: the best category, and how often it was approved of such."""
        with self.container.uow().begin(self.actor) as tx:
            loaded = LearnedEnsemble.load(*tx.ensembles.arrays())
        [said] = loaded.score([record])
        return said.candidates[0]  # type: ignore[return-value]


def shops(count: int, seed: int = 0) -> list[str]:
    chance = random.Random(seed)
    return [f"{chance.choice([*TRUTH])} {chance.randrange(1_000):03}" for _ in range(count)]


def keys(texts: Sequence[str]) -> list[str]:
    return [TRUTH[text[:-4]] for text in texts]


def similarity(record: Record) -> dict[str, Any]:
    assert record.reasoning_trace is not None
    [stage] = [s for s in record.reasoning_trace["stages"] if s["stage"] == Stage.SIMILARITY]
    return dict(stage)


@pytest.fixture
def books(make_container: Callable[..., Container]) -> Books:
    """Nothing is known yet; the promise is low, so that it can be shown with few answers."""
    container = make_container(refit_delay_seconds=0.0, rule_proposals="off", job_backoff_seconds=0.01)
    learner = Watched()
    container.learner.override(learner)
    return Books(container, learner, TenantSettings(promise=0.8, spot_check_share=0.0))


@pytest.fixture
def sorted_books(books: Books) -> Books:
    """120 records came sorted, half of them when the others were known."""
    for seed in (10, 11):
        texts = shops(60, seed=seed)
        books.bring(texts, keys(texts))
    assert books.ensemble().taught == books.had() == 120
    return books


def test_after_enough_approvals_similarity_decides_alone(books: Books) -> None:
    first = books.bring(shops(70))
    assert books.answer_all() == 70, "everything is asked at first"
    second = books.bring(shops(60, seed=1))
    assert books.answer_all() == 60, "and while nothing shows how often the machine is right"
    assert {r.status for r in books.records(first) + books.records(second)} <= {
        RecordStatus.APPROVED,
        RecordStatus.OVERRIDDEN,
    }
    stored = books.ensemble()
    assert (stored.taught, stored.gate.labels) == (130, 60), "what arrived before there was an ensemble shows nothing"
    assert stored.gate.threshold is not None

    third = books.bring([*shops(80, seed=2), UNHEARD_OF])
    found = books.records(third)
    alone = [r for r in found if r.status is RecordStatus.PROCESSED]
    assert len(alone) >= 60
    assert {r.stage for r in alone} == {Stage.SIMILARITY}
    right = [r for r in alone if r.category_id == books.category[TRUTH[r.text[:-4]]]]
    assert len(right) / len(alone) >= 0.8
    for record in alone:
        said = similarity(record)
        assert said["model"] == f"{stored.learner}.{stored.version}"
        assert said["candidates"][0]["confidence"] >= said["threshold"]
        assert said["candidates"][0]["category_id"] == str(record.category_id)
    [strange] = [r for r in found if r.text == UNHEARD_OF]
    assert strange.status is RecordStatus.NEEDS_REVIEW
    assert "its text is new" in similarity(strange)["reason"], (
        "known ones alone are decided, as no new ones were sorted"
    )


@pytest.mark.slow
def test_history_that_came_sorted_opens_the_gate_too(sorted_books: Books) -> None:
    books = sorted_books
    assert books.ensemble().gate.threshold is not None
    found = books.records(books.bring(shops(40, seed=3)))
    assert sum(r.status is RecordStatus.PROCESSED for r in found) >= 30


@pytest.mark.slow
def test_a_higher_promise_decides_less_alone(sorted_books: Books) -> None:
    books = sorted_books
    books.container.change_tenant(
        books.actor, version=None, settings=TenantSettings(promise=0.99, spot_check_share=0.0)
    )
    texts = shops(5, seed=4)
    books.bring(texts, keys(texts))  # the gate follows with the next lessons
    found = books.records(books.bring(shops(20, seed=5)))
    assert {r.status for r in found} == {RecordStatus.NEEDS_REVIEW}, "a hundred answers don't show 99 %"


@pytest.mark.slow
def test_a_chunk_is_judged_by_one_version_whatever_is_learned_meanwhile(sorted_books: Books) -> None:
    books = sorted_books
    before = books.ensemble()
    books.bring(more := shops(30, seed=6), keys(more), run=False)
    books.run(Stream.INGEST)
    books.run(Stream.EMBED)
    books.learner.before_scoring.append(lambda: books.run(Stream.REFIT))
    asked = books.bring([*shops(60, seed=7), UNHEARD_OF], run=False)
    books.run(Stream.INGEST)
    books.run(Stream.PROCESS)
    assert not books.learner.before_scoring
    assert (books.ensemble().version, books.ensemble().taught) == (before.version + 1, 150), "it did learn meanwhile"
    found = books.records(asked)
    assert {similarity(r)["model"] for r in found} == {f"{before.learner}.{before.version}"}
    assert {r.model_version for r in found if r.status is RecordStatus.PROCESSED} == {
        f"{before.learner}.{before.version}"
    }
    with books.container.uow().begin(books.actor) as tx:
        assert tx.lessons.arrived(before.version) == 61
    books.drain()


@pytest.mark.slow
def test_a_gate_is_used_with_the_ensemble_that_it_was_made_for(sorted_books: Books) -> None:
    """Another version is stored between the two looks into the storage."""
    books = sorted_books
    before = books.ensemble()
    books.bring(more := shops(30, seed=6), keys(more), run=False)
    books.run(Stream.INGEST)
    books.run(Stream.EMBED)
    books.learner.before_loading.append(lambda: books.run(Stream.REFIT))
    books.learner.forget()
    books.learner.asked.clear()
    asked = books.bring(shops(20, seed=7), run=False)
    books.run(Stream.INGEST)
    books.run(Stream.PROCESS)
    assert not books.learner.before_loading
    books.drain()
    assert set(books.learner.asked) <= {(before.version, 120), (before.version + 1, 150)}
    assert all(r.status is not RecordStatus.FAILED for r in books.records(asked))
    jobs = books.container.list_jobs(books.actor, limit=500)
    assert {(j.status, j.attempts) for j in jobs} == {(JobStatus.DONE, 1)}, "nothing had to be tried again"


@pytest.mark.slow
def test_what_is_learned_again_and_again_is_asked_later(sorted_books: Books, superuser: psycopg.Connection) -> None:
    """Here by the preview of a rule that lets go of what it decided."""

    class Unlucky(EnsembleLearner):
        missed = 0

        def at_hand(self, *given: Any) -> LearnedEnsemble:
            self.missed += 1
            superuser.execute("UPDATE ensembles SET version = version + 1")
            return super().at_hand(*given)

    books = sorted_books
    issued = books.container.create_api_key(books.actor, name="rules", scopes=GRANTABLE)
    client = create_app(books.container).test_client()
    api = Api(client=client, container=books.container, tenant_id=books.actor.tenant_id, key=issued.secret)
    rule = add_rule(api, str(books.category["food.groceries"]), "GRENTO")
    books.bring(["GRENTO HANDEL 1"])
    draft = {"id": rule["id"], "when": {"field": "text", "op": "contains", "value": "nothing"}}
    unlucky = Unlucky()
    books.container.learner.override(unlucky)
    answer = api.call("POST", "/rules/preview", {"rules": [draft]})
    assert answer.json is not None
    assert (answer.status_code, answer.json["code"], unlucky.missed) == (503, "learned_meanwhile", 3)
    assert answer.headers["Retry-After"]
    books.container.learner.override(books.learner)
    books.learner.before_loading.append(lambda: superuser.execute("UPDATE ensembles SET version = version + 1"))
    assert api.post("/rules/preview", {"rules": [draft]})["released"] == 1


def test_a_withdrawn_answer_is_unlearned(sorted_books: Books) -> None:
    books = sorted_books
    [wrong] = books.records(books.bring([UNHEARD_OF], ["housing.rent"]))
    before = books.ensemble()
    said = books.said_of(wrong)
    assert (said.category_id, said.approved) == (books.category["housing.rent"], 1)
    books.container.withdraw_record(books.actor, wrong.id, version=None)
    books.drain()
    after = books.ensemble()
    assert (after.version, after.taught, books.had()) == (before.version + 1, before.taught - 1, 120)
    [again] = books.records(books.bring([UNHEARD_OF + " "]))
    with books.container.uow().begin(books.actor) as tx:
        [now] = LearnedEnsemble.load(*tx.ensembles.arrays()).score([again])
    assert not now.known
    assert again.status is RecordStatus.NEEDS_REVIEW


@pytest.mark.slow
@pytest.mark.parametrize("how", ["withdrawn", "changed"])
@pytest.mark.parametrize("when", ["as it is learned", "learned before"])
def test_what_a_person_takes_back_while_it_is_learned_is_unlearned(sorted_books: Books, how: str, when: str) -> None:
    books = sorted_books
    imported = books.bring([UNHEARD_OF], ["housing.rent"], run=when == "learned before")
    if when == "learned before":
        books.bring(shops(1, seed=8), keys(shops(1, seed=8)), run=False)
    books.run(Stream.INGEST)
    [wrong] = books.records(imported)

    def take_back() -> None:
        if how == "withdrawn":
            books.container.withdraw_record(books.actor, wrong.id, version=None)
        else:
            books.change(wrong.id, "transport.fuel")

    books.learner.after_learning.append(take_back)
    books.drain()
    assert not books.learner.after_learning
    assert books.ensemble().taught == books.had()
    with books.container.uow().begin(books.actor) as tx:
        assert list(tx.lessons.fresh(9)) == []
        [said] = LearnedEnsemble.load(*tx.ensembles.arrays()).score([wrong])
    if how == "withdrawn":
        assert not said.known
    else:
        [best, *_] = said.candidates
        assert (best.category_id, best.approved, best.of) == (books.category["transport.fuel"], 1, 1)


def test_merged_categories_are_one_at_once(sorted_books: Books) -> None:
    books = sorted_books
    before = books.ensemble().version
    gone, into = books.category["food.restaurants"], books.category["food.groceries"]
    books.bring(shops(4, seed=9))  # so that the ensemble is at hand as it was
    books.container.merge_category(books.actor, gone, into, version=None)
    found = books.records(books.bring([f"OMDRA HALLE {n:03}" for n in range(9)]))
    assert books.ensemble().version == before, "nothing was learned anew for it"
    for record in found:
        candidates = [c["category_id"] for c in similarity(record)["candidates"]]
        assert candidates[0] == str(into)
        assert str(gone) not in candidates
        assert len(set(candidates)) == len(candidates)
    assert sum(r.status is RecordStatus.PROCESSED and r.category_id == into for r in found) >= 7


@pytest.mark.slow
def test_what_was_of_an_unsorted_category_is_decided_no_more(sorted_books: Books) -> None:
    books = sorted_books
    gone = books.category["food.restaurants"]
    books.container.unsort_category(books.actor, gone, version=None)
    asked = books.bring([f"OMDRA HALLE {n:03}" for n in range(5)])
    assert {r.category_id for r in books.records(asked)} <= {None, *books.category.values()} - {gone}
    later = books.records(books.bring([f"OMDRA HALLE {n:03}" for n in range(5, 9)]))
    assert all(str(gone) not in {c["category_id"] for c in similarity(r)["candidates"]} for r in later)
    assert books.ensemble().taught == books.had() < 120


def test_of_two_that_learn_at_once_one_wins_and_the_other_begins_again(books: Books) -> None:
    books.teach(shops(80))
    later = books.refit()
    [earlier] = [
        j.id for j in books.container.list_jobs(books.actor, limit=50) if j.stream is Stream.REFIT and j.id != later
    ]
    books.learner.after_learning.append(lambda: run_job(books.container, books.actor.tenant_id, earlier))
    run_job(books.container, books.actor.tenant_id, later)
    jobs = {j.id: j for j in books.container.list_jobs(books.actor, limit=50)}
    assert jobs[earlier].status is JobStatus.DONE
    assert jobs[later].status is not JobStatus.DONE
    assert (books.ensemble().version, books.ensemble().taught, books.had()) == (1, 80, 80)
    books.drain()
    assert {j.status for j in books.container.list_jobs(books.actor, limit=50)} == {JobStatus.DONE}
    assert (books.ensemble().version, books.ensemble().taught, books.had()) == (1, 80, 80), "nothing is learned twice"


def test_who_comes_while_another_learns_waits_and_loses_no_attempt(books: Books) -> None:
    books.teach(shops(80))
    later = books.refit()
    books.learner.after_learning.append(lambda: run_job(books.container, books.actor.tenant_id, later))
    books.run(Stream.REFIT)
    jobs = {j.id: j for j in books.container.list_jobs(books.actor, limit=50)}
    waiting = jobs[later]
    assert (waiting.status, waiting.attempts, waiting.last_error) == (JobStatus.QUEUED, 0, WAITS)
    assert {j.status for j in jobs.values() if j.id != later} == {JobStatus.DONE}
    books.drain()
    assert {j.status for j in books.container.list_jobs(books.actor, limit=50)} == {JobStatus.DONE}
    assert (books.ensemble().version, books.ensemble().taught) == (1, 80)


def test_who_waits_for_a_worker_that_was_lost_goes_on_after_its_lease(
    books: Books, superuser: psycopg.Connection
) -> None:
    books.teach(shops(80))
    [lost] = [job.id for job in open_refits(books)]
    assert books.container.claim_job(books.actor.tenant_id, lost) is not None
    later = books.refit()
    run_job(books.container, books.actor.tenant_id, later)
    [waiting] = open_refits(books)
    assert (waiting.id, waiting.attempts, waiting.last_error) == (later, 0, WAITS)
    superuser.execute(LEASE_RUNS_OUT, [books.actor.tenant_id])
    assert books.container.reap_jobs() == 1
    books.drain()
    assert {j.status for j in books.container.list_jobs(books.actor, limit=50)} == {JobStatus.DONE}
    assert (books.ensemble().version, books.ensemble().taught) == (1, 80)


def test_what_is_decided_while_it_learns_is_learned_by_the_next(books: Books) -> None:
    books.teach(shops(80))

    def more() -> None:
        others = shops(20, seed=3)
        books.bring(others, keys(others), run=False)
        books.run(Stream.INGEST)

    books.learner.after_learning.append(more)
    books.run(Stream.REFIT)
    assert (books.ensemble().version, books.ensemble().taught) == (1, 80)
    books.drain()
    assert (books.ensemble().version, books.ensemble().taught) == (2, 100)


def test_a_long_queue_is_ranked_once_for_all_that_was_learned_meanwhile(
    sorted_books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = sorted_books
    monkeypatch.setattr("core.usecases.refit.HEAD", 3)
    books.bring([f"UNHEARD {word} 1" for word in ("ALDOR", "BREMIX", "CELTA", "DORVA", "ESPIX")])
    before = books.ensemble().version

    def ranking() -> list[Job]:
        found = books.container.list_jobs(books.actor, stream=Stream.REFIT.value, limit=50)
        return [job for job in found if job.payload == RANK]

    for seed in (11, 12):
        books.teach(shops(5, seed=seed))
        [learns] = [j.id for j in open_refits(books) if j.payload != RANK]
        run_job(books.container, books.actor.tenant_id, learns)
    assert books.ensemble().version == before + 2
    assert [job.status for job in ranking()] == [JobStatus.QUEUED]
    books.drain()
    assert [job.status for job in ranking()] == [JobStatus.DONE]
    assert books.ensemble().version == before + 2, "nothing is learned by it"


def open_refits(books: Books) -> Sequence[Job]:
    return books.container.list_jobs(
        books.actor, stream=Stream.REFIT.value, statuses=[JobStatus.QUEUED.value], limit=50
    )


@pytest.mark.parametrize("hook", ["after_learning", "before_dump"])
def test_a_kill_between_learning_and_the_commit_loses_nothing(
    sorted_books: Books, hook: str, superuser: psycopg.Connection
) -> None:
    books = sorted_books
    before = books.ensemble()

    def killed() -> None:
        raise SystemExit("killed")

    books.teach(shops(20, seed=10))
    getattr(books.learner, hook).append(killed)
    books.run(Stream.REFIT)
    assert not getattr(books.learner, hook)
    assert (books.ensemble(), books.had()) == (before, 120)
    counted = superuser.execute("SELECT count(*) FROM arrivals").fetchone()
    assert counted == (120,)
    books.drain()
    after = books.ensemble()
    assert (after.version, after.taught, books.had()) == (before.version + 1, 140, 140)
    assert after.arrived == 140
