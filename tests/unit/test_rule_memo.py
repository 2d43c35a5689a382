"""The memory of parsed rules: bounded, and by tenant."""

from __future__ import annotations

from uuid import UUID

from adapters.postgres.rule_memo import ParsedRule, RuleMemo
from core.domain.rules import order_key
from core.domain.tenants import worker_actor
from tests.contract.storage import a_rule

A, B, C = (UUID(int=n) for n in (1, 2, 3))


def parsed(count: int) -> dict[UUID, ParsedRule]:
    rules = (a_rule(UUID(int=n), worker_actor(A), None) for n in range(count))
    return {r.id: ParsedRule(r.version, r.when, r.then, order_key(r)[:-1]) for r in rules}


def test_what_was_not_asked_for_longest_is_forgotten() -> None:
    memo = RuleMemo(limit=10)
    four = parsed(4)
    memo.put(A, four)
    memo.put(B, four)
    assert memo.get(A) == memo.get(B) == four
    memo.get(A)
    memo.put(C, four)
    assert [len(memo.get(tenant)) for tenant in (A, B, C)] == [4, 0, 4]


def test_rules_of_a_tenant_are_replaced_and_counted_once() -> None:
    memo = RuleMemo(limit=10)
    for count in (8, 2, 5, 5):
        memo.put(A, parsed(count))
    memo.put(B, parsed(5))
    assert [len(memo.get(tenant)) for tenant in (A, B)] == [5, 5]
    memo.put(C, parsed(11))
    assert [len(memo.get(tenant)) for tenant in (A, B, C)] == [0, 0, 0]
    assert memo.get(UUID(int=9)) == {}
