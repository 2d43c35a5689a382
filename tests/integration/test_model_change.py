"""Another embedding model takes over: it embeds in the background, while the former one serves, then at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from core.domain.decisions import Stage
from core.domain.jobs import Job, JobStatus, Stream
from core.domain.records import RecordStatus
from core.domain.tenants import Actor, TenantSettings
from entrypoints.container import Container
from entrypoints.worker.runner import run_job
from ports.embedder import Embedder
from ports.storage import RecordFilter
from tests.stubs.embeddings_server import EmbeddingsStub

HISTORY = "Date;Description;Amount;Currency;Category\n"
LINES = "Date;Description;Amount;Currency\n"
MERCHANTS = ("QORBEL GAMES", "VENTRIX TOOLS", "LUMMAK BOOKS")


@pytest.fixture
def stub() -> Iterator[EmbeddingsStub]:
    with EmbeddingsStub() as stub:
        yield stub


@pytest.fixture
def former(make_container: Callable[..., Container]) -> Container:
    """With the local model."""
    return make_container()


@pytest.fixture
def latter(make_container: Callable[..., Container], stub: EmbeddingsStub) -> Container:
    """With a model behind an API."""
    return make_container(
        embeddings="openai", embeddings_api_key="sk-key", embeddings_base_url=stub.base_url, embeddings_model="stub-1"
    )


@pytest.fixture
def actor(former: Container) -> Actor:
    """A tenant that has approved, and whose examples the local model has embedded."""
    tenant, _ = former.create_tenant("Moving", settings=TenantSettings(similarity_threshold=0.5))
    actor = Actor(tenant_id=tenant.id, name="a tester")
    rows = [f"2026-01-{day:02};{name} {day};-7.00;EUR;{name.title()}" for name in MERCHANTS for day in (3, 4, 5)]
    bring(former, actor, HISTORY, *rows, approved=True)
    return actor


def bring(container: Container, actor: Actor, header: str, *rows: str, approved: bool = False) -> None:
    payload = (header + "\n".join(rows) + "\n").encode()
    container.receive_import(actor, [payload], filename=f"{hash(payload)}.csv", approved=approved)
    settle(container)


def by(container: Container, actor: Actor, text: str) -> tuple[RecordStatus, str, str]:
    """Status, stage, and the similarity stage's model of the record with this text."""
    (row,) = container.list_records(actor, RecordFilter(text=text), after=None, limit=9)
    (said,) = [s for s in row["reasoning_trace"]["stages"] if s["stage"] == Stage.SIMILARITY]
    return row["status"], row["stage"], said["model"]


def serving(container: Container, actor: Actor) -> str | None:
    with container.uow().begin(actor) as tx:
        found: str | None = tx.examples.serving()
        return found


def test_the_former_model_serves_until_the_latter_is_whole(
    former: Container, latter: Container, actor: Actor, stub: EmbeddingsStub
) -> None:
    local, remote = former.embedder().model, latter.embedder().model
    assert serving(former, actor) == local

    # The settings change, and before anything is embedded anew, records come and one is approved.
    bring(latter, actor, LINES, "2026-02-01;QORBEL GAMES 99;-7.00;EUR")
    assert by(latter, actor, "QORBEL GAMES 99") == ("processed", "similarity", local)
    bring(latter, actor, HISTORY, "2026-02-02;ZWOCK PHARMACY;-7.00;EUR;Health", approved=True)
    bring(latter, actor, LINES, "2026-02-03;ZWOCK PHARMACY 7;-7.00;EUR")
    assert by(latter, actor, "ZWOCK PHARMACY 7") == ("processed", "similarity", local)
    assert stub.requests == []

    # Now the relay notices.
    assert latter.start_reembedding() == 1
    assert latter.start_reembedding() == 0  # it is queued
    settle(latter)
    assert serving(latter, actor) == remote
    assert {text for request in stub.requests for text in request["input"]} >= {"zwock pharmacy", "qorbel games 3"}
    bring(latter, actor, LINES, "2026-02-04;VENTRIX TOOLS 99;-7.00;EUR")
    assert by(latter, actor, "VENTRIX TOOLS 99") == ("processed", "similarity", remote)
    assert latter.start_reembedding() == 0

    # What was made by the former model goes after a while.
    with latter.uow().begin(actor) as tx:
        assert len(tx.examples.without_embedding(local, 99)) < 10
    (forgetting,) = [j for j in latter.list_jobs(actor, limit=99) if "forget" in j.payload]
    make_due(latter, actor, forgetting)
    settle(latter)
    with latter.uow().begin(actor) as tx:
        assert len(tx.examples.without_embedding(local, 99)) == 10
        assert tx.examples.without_embedding(remote, 99) == []


def test_where_the_former_model_is_gone_nothing_is_decided_by_half_of_the_examples(
    make_container: Callable[..., Container], former: Container, actor: Actor, stub: EmbeddingsStub
) -> None:
    named = {"embeddings": "openai", "embeddings_api_key": "sk-key", "embeddings_base_url": stub.base_url}
    first = make_container(**named, embeddings_model="stub-1")
    first.start_reembedding()
    settle(first)
    local_again = make_container()  # and the key was taken away
    bring(local_again, actor, LINES, "2026-02-01;QORBEL GAMES 99;-7.00;EUR")
    (row,) = local_again.list_records(actor, RecordFilter(text="QORBEL GAMES 99"), after=None, limit=9)
    (said,) = [s for s in row["reasoning_trace"]["stages"] if s["stage"] == Stage.SIMILARITY]
    assert (row["status"], said["outcome"], said["candidates"]) == ("needs_review", "unsure", [])
    assert "embedded anew" in said["reason"]
    local_again.start_reembedding()
    settle(local_again)
    assert serving(local_again, actor) == former.embedder().model


def test_a_provider_that_is_away_is_tried_again_and_changes_nothing_meanwhile(
    former: Container, latter: Container, actor: Actor, stub: EmbeddingsStub
) -> None:
    stub.behave("503")
    latter.start_reembedding()
    (job,) = [j for j in latter.list_jobs(actor, limit=99) if j.payload.get("model")]
    claimed = latter.claim_job(actor.tenant_id, job.id)
    assert claimed is not None
    with pytest.raises(Exception, match="not available now") as raised:
        latter.embed_examples(claimed)
    assert latter.fail_job(claimed, raised.value) is JobStatus.QUEUED
    assert serving(latter, actor) == former.embedder().model
    make_due(latter, actor, job)
    settle(latter)
    assert serving(latter, actor) == latter.embedder().model


class Interrupted:
    """An embedder in the middle of whose work `happens`."""

    dimensions = 384

    def __init__(self, real: Embedder, happens: Callable[[], None]) -> None:
        self.model = real.model
        self._real, self._happens = real, happens

    def of(self, model: str) -> Embedder | None:
        return self if model == self.model else None

    def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        self._happens()
        return self._real.embed(texts)


def test_a_search_that_began_before_the_change_ends_with_the_model_that_it_began_with(
    former: Container, latter: Container, actor: Actor
) -> None:
    local = former.embedder()

    def change() -> None:
        latter.start_reembedding()
        settle(latter, Stream.EMBED)
        assert serving(latter, actor) == latter.embedder().model

    former.embedder.override(Interrupted(local, change))
    bring(former, actor, LINES, "2026-02-01;LUMMAK BOOKS 99;-7.00;EUR")
    assert by(latter, actor, "LUMMAK BOOKS 99") == ("processed", "similarity", local.model)


def settle(container: Container, stream: Stream | None = None) -> None:
    """Carries out what is due (in that stream alone, if one is given); what forgets is due later."""
    done = False
    while not done:
        done = True
        with container.system().take_due(share=1_000, limit=1_000) as due:
            taken = list(due)
        for tenant_id, job_id, of, _ in taken:
            if stream is None or of == stream:
                run_job(container, tenant_id, job_id)
                done = False


def make_due(container: Container, actor: Actor, job: Job) -> None:
    """As if the while were over."""
    with container.app_engine().begin() as connection:
        connection.exec_driver_sql("SELECT set_config('app.tenant_id', %s, true)", (str(actor.tenant_id),))
        connection.exec_driver_sql(
            "UPDATE jobs SET due_at = now() WHERE tenant_id = %s AND id = %s", (actor.tenant_id, job.id)
        )
