"""examples:embed: which jobs there are, and what happens while one is at work."""

from __future__ import annotations

from typing import Any

from core.domain.jobs import NewJob, Stream
from tests.integration.api_support import HEADER, Api
from tests.integration.rule_support import items


def embedding(api: Api) -> list[dict[str, Any]]:
    """What the open jobs of the stream are told to do."""
    statuses = ["queued", "published", "running"]
    jobs = api.container.list_jobs(api.actor, stream=Stream.EMBED.value, statuses=statuses, limit=99)
    return [dict(job.payload) for job in jobs]


def answer(api: Api, count: int) -> None:
    for item in list(items(api).values())[:count]:
        api.post(f"/approvals/{item['id']}", {"verdict": "override", "category_id": api.category("housing.rent")})


def test_answers_before_a_job_begins_share_it(filled: Api) -> None:
    answer(filled, 3)
    assert embedding(filled) == [{}]
    history = HEADER.rstrip("\n") + ";Category\n2026-01-03;QORBEL;-7.00;EUR;Games\n"
    imported = filled.container.receive_import(filled.actor, [history.encode()], filename="history.csv", approved=True)
    filled.container.ingest_records(filled.container.claim_job(filled.tenant_id, imported.job_id))
    assert filled.container.get_import(filled.actor, imported.id).status == "done"
    assert embedding(filled) == [{}]
    filled.drain()
    assert embedding(filled) == []
    answer(filled, 1)
    assert embedding(filled) == [{}]


def test_a_job_for_another_model_is_not_shared(filled: Api) -> None:
    others: list[dict[str, Any]] = [{"forget": "former@1"}, {"model": "next@1"}]
    with filled.container.uow().begin(filled.actor) as tx:
        jobs = [NewJob(id=filled.container.ids().new(), stream=Stream.EMBED, payload=payload) for payload in others]
        tx.jobs.add(jobs)
        tx.commit()
    answer(filled, 2)
    assert embedding(filled) == [*others, {}]
