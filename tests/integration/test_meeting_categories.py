"""Decisions, answers and withdrawals that meet a category's merging or removal, or each other, at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from core.domain.approvals import Answer, Verdict
from core.domain.category_changes import new_parents
from core.domain.events import EventFilter
from core.domain.records import RecordStatus
from core.domain.tenants import Actor
from core.errors import AlreadyDecided, Conflict
from core.usecases.review import GroupAnswer
from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.worker.inline import drain
from ports.storage import RecordFilter, Transaction
from tests.contract.storage import Storage, an_example, asked, decided
from tests.integration.api_support import HEADER, Api, new_tenant
from tests.integration.rule_support import bring, everything, items, rule, save
from tests.integration.test_transactions_that_meet import until_waiting

CHANGES: dict[str, Callable[[Transaction, UUID, UUID], Any]] = {
    "merged": lambda tx, id, into: tx.categories.merge(
        id, into, version=None, parents=new_parents(id, into, tx.categories.list())
    ),
    "removed": lambda tx, id, into: tx.categories.unsort(
        id, version=None, parents=new_parents(id, None, tx.categories.list()), by="a person", why="because"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_chunk_that_decides_into_a_category_that_just_went_is_written_whole(
    make_container: Callable[..., Container], change: str
) -> None:
    container = make_container(embeddings="off")
    with create_app(container).test_client() as client:
        api = new_tenant(container, client)
        save(api, rule(api, "ZQX", "food.groceries"))
        rows = "".join(f"2026-03-0{n};ZQX {n};-{n}.50;EUR\n" for n in range(1, 6))
        api.call("POST", "/imports?filename=s.csv", data=(HEADER + rows + "2026-03-06;PLIRT;-1.00;EUR\n").encode())
        groceries, rent = UUID(api.category("food.groceries")), UUID(api.category("housing.rent"))
        real = container.matcher()

        class Late:
            """The rules are asked while the category is there; it goes before the answer is written."""

            def ruleset(self, *given: Any) -> Any:
                found = real.ruleset(*given)

                class Rules:
                    def evaluate(self, *asked: Any) -> Any:
                        said = found.evaluate(*asked)
                        with container.uow().begin(api.actor) as tx:
                            if groceries in {c.id for c in tx.categories.list()}:
                                CHANGES[change](tx, groceries, rent)
                                tx.commit()
                        return said

                return Rules()

        container.matcher.override(Late())
        api.drain()
        records = {r["text"]: r for r in everything(api).values()}
        assert len(records) == 6
        assert records["PLIRT"]["status"] == "needs_review"
        for n in range(1, 6):
            record = records[f"ZQX {n}"]
            if change == "merged":
                assert (record["status"], record["category_id"]) == ("processed", str(rent))
            else:
                assert (record["status"], record["category_id"]) == ("needs_review", None)
                assert record["reasoning_trace"]["reason"] == "review: its category was deleted meanwhile"
                assert items(api)[record["id"]]["suggested_id"] is None
        assert {j["status"] for j in api.get("/jobs")["items"]} == {"done"}


@pytest.mark.parametrize("change", CHANGES)
def test_deciding_waits_for_a_change_of_the_category_and_follows_it(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection, change: str
) -> None:
    actor = storage.tenant()
    food, bread, record_id = storage.category(actor), storage.category(actor, "bread"), storage.record(actor)

    def decide() -> dict[UUID, UUID]:
        with storage.writing(actor) as other:
            held = other.categories.hold([bread])
            other.records.decide([decided(record_id, held.get(bread))])
            return dict(held)

    with storage.uow.begin(actor) as tx:
        CHANGES[change](tx, bread, food)
        second = meanwhile.submit(decide)
        until_waiting(superuser, second)
        tx.commit()
    assert second.result() == ({bread: food} if change == "merged" else {})


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_category_waits_for_a_chunk_that_decides_into_it(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection, change: str
) -> None:
    actor = storage.tenant()
    food, bread, record_id = storage.category(actor), storage.category(actor, "bread"), storage.record(actor)

    def go() -> int:
        with storage.writing(actor) as other:
            other.categories.lock_tree()
            return int(CHANGES[change](other, bread, food).records)

    with storage.uow.begin(actor) as tx:
        assert tx.categories.hold([bread]) == {bread: bread}
        tx.records.decide([decided(record_id, bread)])
        second = meanwhile.submit(go)
        until_waiting(superuser, second)
        tx.commit()
    assert second.result() == 1
    with storage.reading(actor) as tx:
        record = tx.records.get(record_id)
        assert record.category_id == (food if change == "merged" else None)


def two_questions(container: Container) -> tuple[Actor, list[UUID], UUID, UUID]:
    """A tenant of its own, the ids of two open approvals, and two of its categories."""
    tenant, _ = container.create_tenant("Meeting")
    actor = Actor(tenant_id=tenant.id, name="a person")
    payload = (HEADER + "2026-03-01;QORBEL;-1.00;EUR\n2026-03-02;VUMBA;-1.00;EUR\n").encode()
    container.receive_import(actor, [payload], filename="s.csv")
    drain(container, tenant.id)
    first, second, *_ = container.list_categories(actor)
    ids = [item.approval.id for item in container.list_queue(actor, after=None, limit=9)]
    return actor, ids, first.id, second.id


@pytest.mark.parametrize("change", CHANGES)
def test_a_person_who_answers_with_a_category_that_goes_waits_and_is_in_nobodys_way(
    make_container: Callable[..., Container], meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection, change: str
) -> None:
    container = make_container(embeddings="off")
    actor, (asked_one, other_one), bread, food = two_questions(container)

    def answer(id: UUID) -> Any:
        return container.decide_approvals(actor, [Answer(approval_id=id, verdict=Verdict.OVERRIDE, category_id=bread)])

    [before] = answer(other_one)
    with container.uow().begin(actor) as tx:
        tx.categories.lock_tree()
        CHANGES[change](tx, bread, food)
        second = meanwhile.submit(answer, asked_one)
        until_waiting(superuser, second)
        tx.commit()
    if change == "merged":
        [record] = second.result()
        assert record.category_id == food
        assert container.get_record(actor, before.id).category_id == food
    else:
        with pytest.raises(Exception, match="does not exist"):
            second.result()
        assert container.get_record(actor, before.id).status is RecordStatus.NEEDS_REVIEW


def test_a_merge_and_an_answer_about_its_records_wait_in_line(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    """A person locks a question about a record of the category, then changes the record: the merge is behind them."""
    actor = storage.tenant()
    food, bread, car = (storage.category(actor, key) for key in ("food", "bread", "car"))
    record_id = storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([decided(record_id, bread), asked(storage.record(actor, "2"), suggested_id=bread)])
        approvals = [a for a, _ in tx.approvals.queue(after=None, limit=9)]

    def merge() -> int:
        with storage.writing(actor) as other:
            other.categories.lock_tree()
            return int(CHANGES["merged"](other, bread, food).approvals)

    with storage.uow.begin(actor) as tx:
        assert tx.categories.hold([car]) == {car: car}
        tx.approvals.get_many([a.id for a in approvals], lock=True)
        second = meanwhile.submit(merge)
        until_waiting(superuser, second)
        tx.examples.put([an_example(storage.ids.new(), actor, car, approvals[0].record_id)])
        tx.commit()
    assert second.result() == 1


def test_an_answer_that_two_withdraw_at_once_is_withdrawn_once(
    make_container: Callable[..., Container], meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    container = make_container(embeddings="off")
    actor, (id, _), bread, _ = two_questions(container)
    [record] = container.decide_approvals(actor, [Answer(approval_id=id, verdict=Verdict.OVERRIDE, category_id=bread)])
    with container.uow().begin(actor) as tx:
        tx.approvals.standing([record.id])
        second = meanwhile.submit(container.withdraw_approval, actor, id)
        until_waiting(superuser, second)
    assert second.result().status is RecordStatus.NEEDS_REVIEW
    third = meanwhile.submit(container.withdraw_record, actor, record.id, version=None)
    with pytest.raises(Conflict):
        third.result()
    with container.uow().begin(actor) as tx:
        assert tx.approvals.count_open() == 2


def test_a_withdrawal_and_a_change_at_once_leave_one_word(
    make_container: Callable[..., Container], meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    container = make_container(embeddings="off")
    actor, (id, _), bread, food = two_questions(container)
    [record] = container.decide_approvals(actor, [Answer(approval_id=id, verdict=Verdict.OVERRIDE, category_id=bread)])

    def change() -> Any:
        return container.change_record(actor, record.id, version=None, category_id=food, tags=None, attributes=None)

    with container.uow().begin(actor) as tx:
        tx.records.get(record.id, lock=True)
        second = meanwhile.submit(change)
        until_waiting(superuser, second)
    second.result()
    assert container.get_record(actor, record.id).category_id == food
    with pytest.raises(Conflict, match="changed since"):
        container.withdraw_approval(actor, id)


def test_a_group_that_somebody_answers_a_part_of_meanwhile_is_left_whole(
    make_container: Callable[..., Container], meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    container = make_container(embeddings="off")
    with create_app(container).test_client() as client:
        api: Api = new_tenant(container, client)
        bring(api, [f"QORBEL {n}" for n in range(5)])
        rent = UUID(api.category("housing.rent"))
        first = min(UUID(item["id"]) for item in items(api).values())
        key = next(iter(items(api).values()))["group_key"]
        with container.uow().begin(api.actor) as tx:
            [approval] = tx.approvals.get_many([first], lock=True)
            answer = GroupAnswer(verdict=Verdict.OVERRIDE, category_id=rent)
            second = meanwhile.submit(container.decide_group, api.actor, key, answer)
            until_waiting(superuser, second)
            tx.approvals.decide([replace(approval, verdict=Verdict.OVERRIDE, category_id=rent, decided_by="another")])
            tx.commit()
        with pytest.raises(AlreadyDecided):
            second.result()
        assert len(items(api)) == 4
        assert container.decide_group(api.actor, key, answer).decided == 4
        assert container.list_records(api.actor, RecordFilter(statuses=("overridden",)), after=None, limit=9)
        container.seal_events()
        told = container.list_events(api.actor, EventFilter(types=("TX_APPROVED",)), after=0, limit=99)
        assert len(told) == 4
