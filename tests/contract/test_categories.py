"""Categories that are merged, removed, or known by what they were."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from core.domain.approvals import ApprovalReason, Verdict, group_key, urgency
from core.domain.category_changes import Belongings, new_parents, withdrawn
from core.domain.conditions import parse_condition
from core.domain.proposals import ProposalStatus, proposal_key
from core.domain.records import RecordStatus
from core.domain.rules import Action
from core.domain.tenants import Actor
from core.errors import Conflict, Invalid, NotFound, VersionMismatch
from tests.contract.storage import (
    START,
    Storage,
    a_draft,
    a_proposal,
    a_rule,
    an_example,
    answered,
    asked,
    decided,
    open_of,
    vector,
)


def merge(storage: Storage, actor: Actor, id: UUID, into: UUID) -> Belongings:
    with storage.writing(actor) as tx:
        tx.categories.lock_tree()
        parents = new_parents(id, into, tx.categories.list())
        return tx.categories.merge(id, into, version=None, parents=parents)


def unsort(storage: Storage, actor: Actor, id: UUID) -> Belongings:
    with storage.writing(actor) as tx:
        tx.categories.lock_tree()
        parents = new_parents(id, None, tx.categories.list())
        return tx.categories.unsort(id, version=None, parents=parents, by="a person", why="because")


def test_what_is_held_is_there_or_what_it_became(storage: Storage) -> None:
    actor = storage.tenant()
    food, bread, baker = (storage.category(actor, key) for key in ("food", "bread", "baker"))
    gone = storage.ids.new()
    merge(storage, actor, baker, bread)
    with storage.reading(actor) as tx:
        assert tx.categories.hold([food, baker, gone]) == {food: food, baker: bread}
        assert tx.categories.hold([]) == {}
    merge(storage, actor, bread, food)
    with storage.reading(actor) as tx:
        assert tx.categories.hold([baker, bread]) == {baker: food, bread: food}
        assert tx.categories.aliases() == {str(baker): food, str(bread): food}


def test_each_set_of_categories_has_a_fingerprint_of_its_own(storage: Storage) -> None:
    """Also where a merger adds an alias and a deletion takes one."""
    actor = storage.tenant()
    seen = []

    def look() -> None:
        with storage.reading(actor) as tx:
            seen.append(tx.categories.fingerprint())
            assert tx.categories.fingerprint() == seen[-1]

    look()
    food, bread, car = (storage.category(actor, key) for key in ("food", "bread", "car"))
    with storage.writing(actor) as tx:
        tx.categories.add_aliases({"fuel": car})
    look()
    merge(storage, actor, bread, food)
    look()
    with storage.writing(actor) as tx:
        tx.categories.delete(car, None)
        assert len(tx.categories.aliases()) == 1
    look()
    with storage.writing(actor) as tx:
        tx.categories.update(replace(tx.categories.get(food), name="Meals"))
    with storage.reading(actor) as tx:
        assert tx.categories.fingerprint() == seen[-1], "a name is nothing that was learned"
    assert len(set(seen)) == 4


def test_an_alias_is_of_the_category_that_had_it_last(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    with storage.writing(actor) as tx:
        tx.categories.add_aliases({"meals": food, "fuel": food})
        tx.categories.add_aliases({"fuel": car})
        tx.categories.add_aliases({})
    with storage.writing(actor) as tx:
        assert tx.categories.aliases() == {"meals": food, "fuel": car}
        tx.categories.delete(car, None)
        assert tx.categories.aliases() == {"meals": food}
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.categories.add_aliases({"x": storage.ids.new()})


def test_amounts_are_found_by_a_former_key(storage: Storage) -> None:
    actor = storage.tenant()
    food, bread = storage.category(actor), storage.category(actor, "bread")
    storage.store(actor, [a_draft(category="bread")], categories={"bread": bread})
    merge(storage, actor, bread, food)
    with storage.writing(actor) as tx:
        tx.categories.add_aliases({"bread": food})
    with storage.reading(actor) as tx:
        assert list(tx.records.amounts("bread", "EUR", 9)) == list(tx.records.amounts("food", "EUR", 9))
        assert len(tx.records.amounts("bread", "EUR", 9)) == 1


def test_all_that_belongs_to_a_category_moves_when_it_is_merged(storage: Storage) -> None:
    actor = storage.tenant()
    food, bread, car = (storage.category(actor, key) for key in ("food", "bread", "car"))
    child = storage.category(actor, "bread.rye", parent_id=bread)
    a, b, c, d = storage.store(actor, [a_draft(n) for n in "abcd"]).inserted
    rule, other_rule, example = storage.ids.batch(3)
    with storage.writing(actor) as tx:
        tx.rules.add([a_rule(rule, actor, bread), a_rule(other_rule, actor, car)])
        taught = an_example(example, actor, bread, a)
        tx.examples.put([taught])
        tx.examples.set_embeddings("m1", {taught: vector(x=1)})
        spot = decided(b, bread, approval=ApprovalReason.SPOT_CHECK, suggested_id=bread, group_key="g")
        tx.records.decide([decided(a, bread), spot, asked(c, suggested_id=bread), decided(d, car)])
        answer = open_of(tx, c)
        assert answer is not None
        tx.approvals.decide([answered(answer, Verdict.OVERRIDE, bread)])
        tx.proposals.replace_open([a_proposal(storage.ids.new(), actor, bread)])
        tx.categories.add_aliases({"loaves": bread})
        before = tx.tenants.get().rules_version
    moved = merge(storage, actor, bread, food)
    assert moved == Belongings(records=2, examples=1, rules=1, proposals=1, approvals=1, children=1)
    with storage.reading(actor) as tx:
        assert [(r.category_id, r.version) for r in tx.records.get_many([a, b, d])] == [(food, 3), (food, 3), (car, 2)]
        assert [r.status for r in tx.records.get_many([a, b, c])] == ["processed", "processed", "needs_review"]
        assert tx.rules.get(rule).then == replace(a_rule(rule, actor, food).then)
        assert (tx.rules.get(rule).version, tx.rules.get(other_rule).version) == (2, 1)
        assert [r.then.category_id for r in tx.rules.list() if r.id == rule] == [food]
        assert tx.tenants.get().rules_version == before + 1
        (found,) = tx.examples.nearest("m1", [vector(x=1)], 1)
        assert [n.category_id for n in found] == [food], "it votes for what it became, without a new embedding"
        open_one = open_of(tx, b)
        assert open_one is not None
        assert open_one.suggested_id == food
        ((decided_one, _),) = tx.approvals.decided(withdrawn=False, before=None, limit=9)
        assert (decided_one.suggested_id, decided_one.category_id) == (food, food)
        (proposal,) = tx.proposals.list(status="open", after=None, limit=9)
        assert (proposal.category_id, proposal.key) == (food, proposal_key(proposal.when, food))
        assert {k.key: k.parent_id for k in tx.categories.list()} == {"bread.rye": food, "car": None, "food": None}
        assert (tx.categories.get(child).version, tx.categories.get(food).version) == (2, 1)
        assert tx.categories.aliases() == {"loaves": food, str(bread): food}
        assert tx.categories.belongings(food) == moved
        assert tx.categories.belongings(bread) == Belongings()
        used = tx.categories.usage()
        assert used == {id: tx.categories.belongings(id) for id in used}
        assert used[food] == moved
        assert bread not in used


def test_what_was_decided_on_a_proposal_stays_so_when_an_equal_one_joins_it(storage: Storage) -> None:
    actor = storage.tenant()
    food, bread = storage.category(actor), storage.category(actor, "bread")
    whens = [parse_condition({"field": "text", "op": "contains", "value": word}) for word in ("rye", "oat", "bun")]
    ids = storage.ids.batch(6)
    theirs = [a_proposal(id, actor, bread, when=when) for id, when in zip(ids[:3], whens, strict=True)]
    mine = [a_proposal(id, actor, food, when=when) for id, when in zip(ids[3:5], whens, strict=False)]
    with storage.writing(actor) as tx:
        tx.proposals.replace_open([*theirs, *mine])
        for proposal in (theirs[0], mine[1]):  # one of each pair is settled
            tx.proposals.decide(replace(proposal, status=ProposalStatus.REJECTED, decided_by="r", decided_at=START))
    assert merge(storage, actor, bread, food).proposals == 3
    with storage.reading(actor) as tx:
        left = {p.id: (p.status, p.category_id) for p in tx.proposals.list(status=None, after=None, limit=9)}
        assert left == {
            ids[0]: (ProposalStatus.REJECTED, food),
            ids[4]: (ProposalStatus.REJECTED, food),
            ids[2]: (ProposalStatus.OPEN, food),
        }
        assert len({p.key for p in tx.proposals.list(status=None, after=None, limit=9)}) == 3


def test_a_merge_is_guarded_and_needs_both(storage: Storage) -> None:
    actor = storage.tenant()
    food, bread = storage.category(actor), storage.category(actor, "bread")
    for id, into, version, error in (
        (bread, food, 7, VersionMismatch),
        (bread, storage.ids.new(), None, NotFound),
        (storage.ids.new(), food, None, NotFound),
    ):
        with storage.reading(actor) as tx, pytest.raises(error):
            tx.categories.merge(id, into, version=version, parents={})
    with storage.reading(actor) as tx, pytest.raises(VersionMismatch):
        tx.categories.unsort(bread, version=7, parents={}, by="x", why="y")
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.categories.unsort(storage.ids.new(), version=None, parents={}, by="x", why="y")


def test_a_run_is_undone_after_a_merge_as_before(storage: Storage) -> None:
    actor = storage.tenant()
    food, bread, car, run = (
        *(storage.category(actor, key) for key in ("food", "bread", "car")),
        storage.run(actor),
    )
    was_bread, waited, other = storage.store(actor, [a_draft(n) for n in "abc"]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(was_bread, bread), asked(waited, suggested_id=bread), decided(other, food)])
        tx.records.redecide(
            run, [(decided(was_bread, car), 2), (decided(waited, bread), 2), (decided(other, bread), 2)]
        )
    merge(storage, actor, bread, food)
    with storage.writing(actor) as tx:
        assert tx.records.restore(run, after=None, limit=9).restored == 3
    with storage.reading(actor) as tx:
        assert [r.category_id for r in tx.records.get_many([was_bread, waited, other])] == [food, None, food]
        open_one = open_of(tx, waited)
        assert open_one is not None
        assert open_one.suggested_id == food


def test_a_removed_category_leaves_its_records_to_people(storage: Storage) -> None:
    actor = storage.tenant()
    food, bread, car = (storage.category(actor, key) for key in ("food", "bread", "car"))
    child = storage.category(actor, "bread.rye", parent_id=bread)
    machine, person, spot, waiting, other = storage.store(actor, [a_draft(n) for n in "abcde"]).inserted
    rule, kept_rule, example, kept_example = storage.ids.batch(4)
    with storage.writing(actor) as tx:
        tx.rules.add([a_rule(rule, actor, bread, stop=True), a_rule(kept_rule, actor, car)])
        tx.records.decide(
            [
                decided(machine, bread, tags=("kept",)),
                asked(person, suggested_id=bread),
                decided(spot, bread, approval=ApprovalReason.SPOT_CHECK, suggested_id=bread, group_key="g"),
                asked(waiting, suggested_id=bread),
                decided(other, car),
            ]
        )
        answer = open_of(tx, person)
        spot_check = open_of(tx, spot)
        assert answer is not None
        assert spot_check is not None
        tx.approvals.decide([answered(answer, Verdict.APPROVE, bread)])
        record = tx.records.get(person)
        tx.records.update([replace(record, status=RecordStatus.APPROVED, category_id=bread, stage="human")])
        tx.examples.put([an_example(example, actor, bread, person), an_example(kept_example, actor, car, other)])
        tx.proposals.replace_open([a_proposal(storage.ids.new(), actor, bread)])
        before, version = tx.records.get(machine), tx.tenants.get().rules_version
    lost = unsort(storage, actor, bread)
    assert lost == Belongings(records=3, examples=1, rules=1, proposals=1, approvals=2, children=1)
    with storage.reading(actor) as tx:
        after = tx.records.get(machine)
        assert (after.status, after.category_id, after.stage) == (RecordStatus.NEEDS_REVIEW, None, None)
        assert (after.confidence, after.selection_probability, after.tags) == (0.0, 1.0, ("kept",))
        assert after.reasoning_trace == withdrawn(before.reasoning_trace, "because")
        assert after.version == before.version + 1
        question = open_of(tx, machine)
        assert question is not None
        assert (question.reason, question.suggested_id, question.confidence) == (ApprovalReason.UNSURE, None, 0.0)
        assert (question.group_key, question.urgency) == (group_key(before), urgency(0.0, None))
        assert tx.records.get(person).status is RecordStatus.NEEDS_REVIEW
        ((withdrawn_one, _),) = tx.approvals.decided(withdrawn=True, before=None, limit=9)
        assert (withdrawn_one.id, withdrawn_one.withdrawn_by) == (answer.id, "a person")
        assert tx.approvals.decided(withdrawn=False, before=None, limit=9) == []
        still = open_of(tx, spot)
        assert still is not None
        assert (still.id, still.suggested_id, still.confidence) == (spot_check.id, None, 0.0)
        open_before = open_of(tx, waiting)
        assert open_before is not None
        assert open_before.suggested_id is None
        assert tx.records.get(other).category_id == car
        assert [e.id for e in tx.examples.list(after=None, limit=9)] == [kept_example]
        disabled = tx.rules.get(rule)
        assert (disabled.enabled, disabled.then) == (
            False,
            Action(tags=("shop",), fields={"place": "town"}, review=True),
        )
        assert tx.rules.get(kept_rule).enabled
        assert tx.proposals.list(status=None, after=None, limit=9) == []
        assert tx.categories.get(child).parent_id is None
        assert {c.id for c in tx.categories.list()} == {food, car, child}
        assert tx.tenants.get().rules_version == version + 1


def test_what_still_uses_a_category_is_told(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    storage.category(actor, "food.bread", parent_id=food)
    ids = storage.store(actor, [a_draft(n) for n in "abc"]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food) for id in ids])
        tx.rules.add([a_rule(storage.ids.new(), actor, food)])
    with storage.reading(actor) as tx, pytest.raises(Conflict, match="3 records, 1 rule and 1 child category still"):
        tx.categories.delete(food, None)


def test_an_unused_category_is_suggested_no_longer_when_it_goes(storage: Storage) -> None:
    actor = storage.tenant()
    food, id = storage.category(actor), storage.record(actor, amount=Decimal("1.00"))
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id, suggested_id=food)])
        tx.categories.delete(food, 1)
    with storage.reading(actor) as tx:
        question = open_of(tx, id)
        assert question is not None
        assert (question.suggested_id, question.confidence, question.verdict) == (None, 0.0, None)
