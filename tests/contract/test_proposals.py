"""Proposals: replaced as the evidence changes, decided once, and rejected for good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain.conditions import parse_condition
from core.domain.proposals import Evidence, Proposal, ProposalStatus
from core.domain.tenants import Actor
from core.errors import AlreadyDecided, NotFound, VersionMismatch
from tests.contract.storage import START, Storage, a_proposal

EDEKA = parse_condition({"field": "text", "op": "contains", "value": "edeka"})
SHELL = parse_condition({"field": "text", "op": "contains", "value": "shell"})


def propose(storage: Storage, actor: Actor, *proposals: Proposal) -> list[object]:
    with storage.writing(actor) as tx:
        return list(tx.proposals.replace_open(proposals))


def listed(storage: Storage, actor: Actor, status: str | None = None) -> list[Proposal]:
    with storage.reading(actor) as tx:
        return list(tx.proposals.list(status=status, after=None, limit=9))


def decided(proposal: Proposal, status: ProposalStatus) -> Proposal:
    return replace(proposal, status=status, rule_id=proposal.id, decided_by="reviewer", decided_at=START)


def test_a_proposal_comes_back_as_it_was_stored(storage: Storage) -> None:
    actor = storage.tenant()
    evidence = Evidence(
        support=20,
        agreeing=18,
        expected=0.875,
        examples=tuple(storage.ids.batch(3)),
        counter_examples=tuple(storage.ids.batch(2)),
    )
    proposal = a_proposal(storage.ids.new(), actor, storage.category(actor), evidence=evidence)
    assert propose(storage, actor, proposal) == [proposal.id]
    with storage.reading(actor) as tx:
        assert tx.proposals.get(proposal.id) == proposal
        with pytest.raises(NotFound):
            tx.proposals.get(storage.ids.new())


def test_proposals_are_listed_by_status_page_by_page(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    a, b, c = (a_proposal(storage.ids.new(), actor, *what) for what in ((food,), (car,), (food,)))
    c = replace(c, when=SHELL, key="another")
    assert propose(storage, actor, b, c, a) == [a.id, b.id, c.id]
    with storage.writing(actor) as tx:
        tx.proposals.decide(decided(b, ProposalStatus.REJECTED))
    with storage.reading(actor) as tx:
        assert [p.id for p in tx.proposals.list(status="open", after=None, limit=9)] == [a.id, c.id]
        assert [p.id for p in tx.proposals.list(status="rejected", after=None, limit=9)] == [b.id]
        assert [p.id for p in tx.proposals.list(status=None, after=None, limit=2)] == [a.id, b.id]
        assert [p.id for p in tx.proposals.list(status=None, after=b.id, limit=2)] == [c.id]


def test_open_proposals_become_the_new_ones(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    stays, goes = (a_proposal(storage.ids.new(), actor, food, when=when) for when in (EDEKA, SHELL))
    propose(storage, actor, stays, goes)
    more = Evidence(support=40, agreeing=40, expected=0.99)
    again = a_proposal(storage.ids.new(), actor, food, when=EDEKA, evidence=more)
    new = a_proposal(storage.ids.new(), actor, food)
    assert propose(storage, actor, new, again) == [new.id]
    assert listed(storage, actor) == [replace(stays, evidence=more, version=2), new]
    assert propose(storage, actor, new, again) == []
    assert listed(storage, actor)[0].version == 2  # nothing new was said of it
    assert propose(storage, actor) == []
    assert listed(storage, actor) == []


def test_of_two_with_the_same_key_the_first_is_taken(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    first, second = (a_proposal(storage.ids.new(), actor, food) for _ in range(2))
    assert propose(storage, actor, first, second) == [first.id]


@pytest.mark.parametrize("status", [ProposalStatus.ACCEPTED, ProposalStatus.REJECTED])
def test_what_was_decided_is_not_proposed_again(storage: Storage, status: ProposalStatus) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    proposal = a_proposal(storage.ids.new(), actor, food)
    propose(storage, actor, proposal)
    with storage.writing(actor) as tx:
        tx.proposals.decide(decided(proposal, status))
    again = a_proposal(storage.ids.new(), actor, food, evidence=Evidence(support=99, agreeing=99, expected=1))
    assert propose(storage, actor, again) == []
    assert listed(storage, actor) == [replace(decided(proposal, status), version=2)]


def test_a_proposal_is_decided_once(storage: Storage) -> None:
    actor = storage.tenant()
    proposal = a_proposal(storage.ids.new(), actor, storage.category(actor))
    propose(storage, actor, proposal)
    accepted = decided(proposal, ProposalStatus.ACCEPTED)
    with storage.reading(actor) as tx, pytest.raises(VersionMismatch):
        tx.proposals.decide(replace(accepted, version=2))
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.proposals.decide(replace(accepted, id=storage.ids.new()))
    with storage.writing(actor) as tx:
        tx.proposals.decide(accepted)
    with storage.reading(actor) as tx, pytest.raises(AlreadyDecided):
        tx.proposals.decide(replace(accepted, version=2))


def test_a_proposal_whose_category_is_gone_is_left_out_and_goes_with_it(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    proposal = a_proposal(storage.ids.new(), actor, food)
    assert propose(storage, actor, a_proposal(storage.ids.new(), actor, storage.ids.new()), proposal) == [proposal.id]
    assert listed(storage, actor) == [proposal]
    with storage.writing(actor) as tx:
        tx.categories.delete(food, None)
    assert listed(storage, actor) == []
