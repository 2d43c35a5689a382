"""Categories, jobs, permissions, tenants, approvals: the smaller words of the domain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.approvals import Answer, Approval, ApprovalReason, Verdict, settle
from core.domain.categories import Category, check_key, check_parent, key_from_name, paths, resolver
from core.domain.jobs import MAX_BACKOFF, backoff
from core.domain.permissions import GRANTABLE, ROLE_PERMISSIONS, Permission, Role
from core.domain.tenants import Actor, ApiKey, TenantSettings, check_scopes, check_settings, check_tenant
from core.errors import Forbidden, Invalid

NOW = datetime(2026, 5, 1, tzinfo=UTC)
A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)


def category(id: UUID, key: str, name: str, parent: UUID | None = None) -> Category:
    return Category(id=id, tenant_id=C, parent_id=parent, key=key, name=name, description="", created_at=NOW, version=1)


TREE = [category(A, "food", "Food"), category(B, "food.bars", "Bars & Cafés", A)]


def test_paths_begin_at_the_root() -> None:
    assert paths(TREE) == {A: "Food", B: "Food > Bars & Cafés"}


def test_a_category_is_known_by_key_path_and_name() -> None:
    known = resolver(TREE)
    assert known["food.bars"] == known["food > bars & cafés"] == known["bars & cafés"] == B


def test_an_ambiguous_name_is_not_guessed() -> None:
    work = UUID(int=4)
    known = resolver([*TREE, category(work, "work", "Work"), category(C, "work.bars", "Bars & Cafés", work)])
    assert "bars & cafés" not in known
    assert known["work.bars"] == C


def test_no_category_stands_below_itself() -> None:
    parents = {A: None, B: A, C: B}
    check_parent(C, A, parents)
    with pytest.raises(Invalid, match="below itself"):
        check_parent(A, C, parents)
    with pytest.raises(Invalid, match="does not exist"):
        check_parent(A, UUID(int=9), parents)


@given(st.text(min_size=1, max_size=60))
def test_every_name_gives_a_valid_key(name: str) -> None:
    check_key(key_from_name(name)[:120])


@pytest.mark.parametrize("key", ["", "Food", "food..bars", ".food", "food bars", "food.", "x" * 200])
def test_bad_keys_are_refused(key: str) -> None:
    with pytest.raises(Invalid):
        check_key(key)


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_waits_grow_are_capped_and_spread(attempts: int, jitter: float) -> None:
    base = timedelta(seconds=2)
    wait = backoff(attempts, base, jitter)
    full = min(base * 2.0 ** (attempts - 1), MAX_BACKOFF) if attempts < 40 else MAX_BACKOFF
    assert full / 2 <= wait <= full


def test_roles_are_ordered_and_nobody_is_operator() -> None:
    viewer, reviewer, admin, owner = (ROLE_PERMISSIONS[Role(r)] for r in ("viewer", "reviewer", "admin", "owner"))
    assert viewer < reviewer < admin < owner
    assert Permission.OPERATOR not in owner | GRANTABLE
    assert all(p.value.endswith(":read") for p in viewer)
    assert Permission.KEYS_READ not in viewer


def test_an_actor_needs_the_permission() -> None:
    actor = Actor(tenant_id=A, name="x", permissions=frozenset({Permission.RECORDS_READ}))
    actor.require(Permission.RECORDS_READ)
    with pytest.raises(Forbidden, match="records:write"):
        actor.require(Permission.RECORDS_WRITE)


@pytest.mark.parametrize("scopes", [{"operator"}, {"records:read", "everything"}, set()])
def test_scopes_that_no_key_may_carry(scopes: set[str]) -> None:
    with pytest.raises(Invalid):
        check_scopes(frozenset(scopes))


def test_a_key_ends() -> None:
    key = ApiKey(id=A, tenant_id=B, key_id="k", name="n", secret_hash=b"", scopes=GRANTABLE, created_at=NOW)
    assert key.usable(NOW)
    from dataclasses import replace

    assert not replace(key, expires_at=NOW).usable(NOW)
    assert not replace(key, revoked_at=NOW).usable(NOW)


def test_tenants_are_checked() -> None:
    check_tenant("Acme", "Europe/Berlin")
    for name, zone in (("", "UTC"), ("Acme", "Mars/Olympus")):
        with pytest.raises(Invalid):
            check_tenant(name, zone)
    for bad in ({"spot_check_share": 1.5}, {"default_currency": "euro"}, {"llm_threshold": -0.1}):
        with pytest.raises(Invalid):
            check_settings(TenantSettings(**bad))  # type: ignore[arg-type]


def test_answers_settle() -> None:
    def approval(suggested: UUID | None) -> Approval:
        return Approval(
            id=A,
            tenant_id=B,
            record_id=C,
            reason=ApprovalReason.UNSURE,
            suggested_id=suggested,
            confidence=0.5,
            urgency=0.5,
            group_key="",
            verdict=None,
            category_id=None,
            decided_by=None,
            decided_at=None,
            created_at=NOW,
        )

    assert settle(approval(A), Answer(approval_id=A, verdict=Verdict.APPROVE)) == A
    assert settle(approval(A), Answer(approval_id=A, verdict=Verdict.OVERRIDE, category_id=B)) == B
    for suggested, answer in (
        (None, Answer(approval_id=A, verdict=Verdict.APPROVE)),
        (A, Answer(approval_id=A, verdict=Verdict.OVERRIDE)),
        (A, Answer(approval_id=A, verdict=Verdict.APPROVE, category_id=B)),
    ):
        with pytest.raises(Invalid):
            settle(approval(suggested), answer)
