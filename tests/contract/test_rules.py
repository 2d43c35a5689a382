"""Rules: in the order in which they are asked, with a version that tells when compiled ones are stale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.conditions import parse_condition
from core.domain.rules import Action, Rule, RuleStage
from core.domain.tenants import Actor, TenantSettings
from core.errors import Invalid, NotFound, VersionMismatch
from ports.storage import Transaction
from tests.contract.storage import START, Storage, a_rule

NESTED = parse_condition(
    {
        "any": [
            {
                "all": [
                    {"field": "amount", "op": "between", "value": ["-10.50", "0"]},
                    {"field": "weekday", "op": "in", "value": [6, 7]},
                ]
            },
            {"not": {"field": "attributes.mcc", "op": "equals", "value": "5411"}},
            {"type": "plugin", "params": {"n": 1}},
        ]
    }
)


def add(storage: Storage, actor: Actor, *rules: Rule) -> None:
    with storage.writing(actor) as tx:
        tx.rules.add(rules)


def test_a_rule_comes_back_as_it_was_stored(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    rule = a_rule(storage.ids.new(), actor, food, when=NESTED, stage=RuleStage.PRE, stop=False, enabled=False)
    skip = a_rule(storage.ids.new(), actor, None, then=Action(skip=True), hits=3, last_hit_at=START, evidence_from=7)
    add(storage, actor, rule, skip)
    with storage.reading(actor) as tx:
        assert tx.rules.get(rule.id) == rule
        assert tx.rules.get(skip.id) == skip
        with pytest.raises(NotFound):
            tx.rules.get(storage.ids.new())


def test_rules_are_found_by_their_ids_where_they_are_there_still(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant()
    one, two, gone = (a_rule(storage.ids.new(), actor, None, priority=n) for n in (9, 5, 1))
    theirs = a_rule(storage.ids.new(), other, None)
    add(storage, actor, one, two, gone)
    add(storage, other, theirs)
    with storage.writing(actor) as tx:
        tx.rules.delete(gone.id, None)
    with storage.reading(actor) as tx:
        assert tx.rules.present([two.id, storage.ids.new(), one.id, gone.id, theirs.id, two.id]) == [one, two]
        assert tx.rules.present([]) == []


def test_rules_are_listed_in_the_order_in_which_they_are_asked(storage: Storage) -> None:
    actor = storage.tenant()
    last, second, first, third = (
        a_rule(storage.ids.new(), actor, None, stage=stage, priority=priority)
        for stage, priority in (
            (RuleStage.POST, 1),
            (RuleStage.MAIN, 10),
            (RuleStage.PRE, 50),
            (RuleStage.MAIN, 20),
        )
    )
    add(storage, actor, last, second, first, third)
    with storage.reading(actor) as tx:
        assert list(tx.rules.list()) == [first, second, third, last]


def test_rules_of_a_pack_are_trusted_when_the_pack_is(storage: Storage) -> None:
    actor = storage.tenant(settings=TenantSettings(trusted_packs=("bank",)))
    own, trusted, untrusted = (
        a_rule(storage.ids.new(), actor, None, pack=pack, trusted=False) for pack in (None, "bank", "shop")
    )
    add(storage, actor, own, trusted, untrusted)
    with storage.reading(actor) as tx:
        assert [tx.rules.get(rule.id).trusted for rule in (own, trusted, untrusted)] == [True, True, False]
        assert {rule.pack for rule in tx.rules.list() if rule.trusted} == {None, "bank"}


def test_a_rule_that_answers_proved_is_trusted_whatever_its_pack(storage: Storage) -> None:
    actor = storage.tenant()
    rule = a_rule(storage.ids.new(), actor, None, pack="shop", trusted=False)
    add(storage, actor, rule)
    with storage.writing(actor) as tx:
        assert not tx.rules.get(rule.id).trusted
        tx.rules.set_standing(rule.id, demoted=False, proved=True)
    with storage.reading(actor) as tx:
        proved = replace(rule, proved=True, trusted=True, version=2)
        assert (tx.rules.get(rule.id), list(tx.rules.list())) == (proved, [proved])


def test_the_standing_of_a_rule_is_a_change_of_it(storage: Storage) -> None:
    actor = storage.tenant()
    rule = a_rule(storage.ids.new(), actor, None)
    add(storage, actor, rule)
    with storage.writing(actor) as tx:
        tx.rules.set_standing(rule.id, demoted=True, proved=False)
    with storage.reading(actor) as tx:
        assert tx.rules.get(rule.id) == replace(rule, demoted=True, version=2)
        with pytest.raises(NotFound):
            tx.rules.set_standing(storage.ids.new(), demoted=True, proved=False)


def test_answers_add_up_until_the_rule_begins_anew(storage: Storage) -> None:
    actor = storage.tenant()
    proposal = storage.ids.new()
    a, b = (a_rule(storage.ids.new(), actor, None, proposal_id=proposal) for _ in range(2))
    add(storage, actor, a, b)
    with storage.writing(actor) as tx:
        before = tx.tenants.get().rules_version
        counted = tx.rules.count_answers({b.id: (3, 1, 5), storage.ids.new(): (9, 9, 9), a.id: (0, 2, 0)})
        assert list(counted) == [replace(a, overridden=2), replace(b, confirmed=3, overridden=1, corrected=5)]
        now = replace(b, confirmed=7, overridden=1, corrected=6)
        assert list(tx.rules.count_answers({b.id: (4, 0, 1)})) == [now]
        tx.rules.count_hits({b.id: 2}, START)
        assert list(tx.rules.count_answers({a.id: (-1, -1, 0)})) == [replace(a, overridden=1)], "never below 0"
        assert list(tx.rules.count_answers({})) == []
        assert tx.tenants.get().rules_version == before
    with storage.writing(actor) as tx:
        tx.rules.set_standing(b.id, demoted=True, proved=True)
        tx.rules.update(replace(tx.rules.get(b.id), name="Renamed", confirmed=0))
        now = replace(now, name="Renamed", hits=2, last_hit_at=START, demoted=True, proved=True, version=3)
        assert tx.rules.get(b.id) == now
        tx.rules.update(replace(tx.rules.get(b.id), name="New", evidence_from=9), anew=True)
    with storage.reading(actor) as tx:
        assert tx.rules.get(b.id) == replace(b, name="New", last_hit_at=START, evidence_from=9, version=4)


def test_the_list_follows_every_change(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    a, b, c = (a_rule(storage.ids.new(), actor, food, priority=n) for n in (1, 2, 3))
    add(storage, actor, a, b)

    def listed() -> list[Rule]:
        with storage.reading(actor) as tx:
            return list(tx.rules.list())

    assert listed() == [a, b]
    with storage.reading(actor) as tx:  # never committed
        tx.rules.update(replace(a, when=NESTED))
        assert [rule.when for rule in tx.rules.list()] == [NESTED, b.when]
    assert listed() == [a, b]
    with storage.writing(actor) as tx:
        tx.rules.update(replace(a, then=Action(skip=True)))
        tx.rules.add([c])
        tx.rules.count_hits({b.id: 2}, START)
    a, b = replace(a, then=Action(skip=True), version=2), replace(b, hits=2, last_hit_at=START)
    assert listed() == [a, b, c]
    with storage.writing(actor) as tx:
        tx.rules.delete(b.id, None)
        tx.rules.reorder({a.id: 3, c.id: 0})
    assert listed() == [replace(c, priority=0, version=2), replace(a, priority=3, version=3)]


def test_rules_that_reordering_does_not_move_keep_their_version(storage: Storage) -> None:
    actor = storage.tenant()
    a, b = (a_rule(storage.ids.new(), actor, None, priority=n) for n in (1, 2))
    add(storage, actor, a, b)
    with storage.writing(actor) as tx:
        tx.rules.reorder({a.id: 1, b.id: 0})
    with storage.reading(actor) as tx:
        assert [(r.id, r.version) for r in tx.rules.list()] == [(b.id, 2), (a.id, 1)]


def test_updating_a_rule_is_guarded_by_its_version(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    rule = a_rule(storage.ids.new(), actor, food)
    add(storage, actor, rule)
    changed = replace(
        rule,
        name="Fuel",
        stage=RuleStage.POST,
        priority=7,
        when=NESTED,
        then=Action(category_id=car),
        stop=False,
        enabled=False,
        evidence_from=5,
    )
    with storage.writing(actor) as tx:
        tx.rules.update(replace(changed, hits=99))
    with storage.reading(actor) as tx:
        assert tx.rules.get(rule.id) == replace(changed, version=2)
        with pytest.raises(VersionMismatch):
            tx.rules.update(changed)
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.rules.update(replace(changed, id=storage.ids.new()))


def test_a_rule_needs_a_category_that_exists(storage: Storage) -> None:
    actor = storage.tenant()
    rule = a_rule(storage.ids.new(), actor, storage.category(actor))
    add(storage, actor, rule)
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.rules.add([a_rule(storage.ids.new(), actor, storage.ids.new())])
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.rules.update(replace(rule, then=Action(category_id=storage.ids.new())))


def test_reordering_moves_all_or_none(storage: Storage) -> None:
    actor = storage.tenant()
    a, b, c = (a_rule(storage.ids.new(), actor, None, priority=n) for n in (1, 2, 3))
    add(storage, actor, a, b, c)
    with storage.writing(actor) as tx:
        tx.rules.reorder({a.id: 9, c.id: 0})
        tx.rules.reorder({})
    with pytest.raises(NotFound), storage.writing(actor) as tx:
        tx.rules.reorder({b.id: 100, storage.ids.new(): 1})
    with storage.reading(actor) as tx:
        assert [(r.id, r.priority, r.version) for r in tx.rules.list()] == [(c.id, 0, 2), (b.id, 2, 1), (a.id, 9, 2)]


def test_deleting_a_rule_is_guarded_by_its_version(storage: Storage) -> None:
    actor = storage.tenant()
    rule = a_rule(storage.ids.new(), actor, None)
    add(storage, actor, rule)
    with storage.reading(actor) as tx, pytest.raises(VersionMismatch):
        tx.rules.delete(rule.id, 2)
    with storage.writing(actor) as tx:
        tx.rules.delete(rule.id, 1)
    with storage.reading(actor) as tx:
        assert list(tx.rules.list()) == []
        with pytest.raises(NotFound):
            tx.rules.delete(rule.id, None)


def test_hits_add_up_and_the_last_one_is_remembered(storage: Storage) -> None:
    actor = storage.tenant()
    a, b = (a_rule(storage.ids.new(), actor, None) for _ in range(2))
    add(storage, actor, a, b)
    later = START + timedelta(hours=1)
    with storage.writing(actor) as tx:
        before = tx.tenants.get().rules_version
        tx.rules.count_hits({b.id: 2, a.id: 1, storage.ids.new(): 5}, later)
        tx.rules.count_hits({b.id: 3}, START)
        tx.rules.count_hits({}, later)
    with storage.reading(actor) as tx:
        seen = [(r.hits, r.last_hit_at, r.version) for r in (tx.rules.get(a.id), tx.rules.get(b.id))]
        assert seen == [(1, later, 1), (5, later, 1)]
        assert tx.tenants.get().rules_version == before


def test_hits_are_taken_back_but_never_below_none(storage: Storage) -> None:
    actor = storage.tenant()
    a, b, never = (a_rule(storage.ids.new(), actor, None) for _ in range(3))
    add(storage, actor, a, b, never)
    later = START + timedelta(hours=1)
    with storage.writing(actor) as tx:
        tx.rules.count_hits({a.id: 5, b.id: 1}, START)
        tx.rules.count_hits({a.id: -2, b.id: -3, never.id: -1, storage.ids.new(): -1}, later)
    with storage.reading(actor) as tx:
        seen = [(r.hits, r.last_hit_at, r.version) for r in map(tx.rules.get, (a.id, b.id, never.id))]
        assert seen == [(3, START, 1), (0, START, 1), (0, None, 1)]


CHANGES: dict[str, Callable[[Transaction, Rule, Rule], None]] = {
    "add": lambda tx, rule, new: tx.rules.add([new]),
    "update": lambda tx, rule, new: tx.rules.update(replace(rule, name="Other")),
    "reorder": lambda tx, rule, new: tx.rules.reorder({rule.id: 1}),
    "standing": lambda tx, rule, new: tx.rules.set_standing(rule.id, demoted=True, proved=False),
    "delete": lambda tx, rule, new: tx.rules.delete(rule.id, None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_rule_makes_compiled_ones_stale(storage: Storage, change: str) -> None:
    actor = storage.tenant()
    rule, new = (a_rule(storage.ids.new(), actor, None) for _ in range(2))
    add(storage, actor, rule)
    with storage.writing(actor) as tx:
        before = tx.tenants.get()
        CHANGES[change](tx, rule, new)
        after = tx.tenants.get()
    assert after.rules_version > before.rules_version
    assert after.version == before.version  # nobody changed the tenant itself
