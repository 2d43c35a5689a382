"""People: what is refused as a password or an address, how guessers are held up, who makes whom what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from core.domain.people import check_email, check_may_assign, check_password, lock_after
from core.domain.permissions import ROLE_PERMISSIONS, Permission, Role
from core.domain.tenants import Actor
from core.errors import Forbidden, Invalid

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_passwords_are_long_and_nothing_is_asked_of_what_is_in_them() -> None:
    for fine in ("correct horse battery", "äöüßé" * 3, " spaces  at both ends ", "x7" + "q1w2e3r4t5" * 12):
        assert check_password(fine, "ada@example.org") == fine
    for bad in ("eleven char", "x" * 129, "ada@example.org", "ADA@example.ORG", "aaaaaaaaaaaaaaa", "abababababab"):
        with pytest.raises(Invalid):
            check_password(bad, "ada@example.org")
    with pytest.raises(Invalid):
        check_password("administrator", "administrator@example.org")


def test_addresses_are_kept_in_lower_case() -> None:
    assert check_email(" Ada@Example.Org ") == "ada@example.org"
    for bad in (
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@localhost",
        "a b@example.org",
        "a@b,c.org",
        "x" * 250 + "@b.org",
    ):
        with pytest.raises(Invalid):
            check_email(bad)


def test_guessers_wait_twice_as_long_each_time_and_nobody_for_good() -> None:
    waits = [lock_after(failures, NOW) for failures in range(1, 14)]
    assert waits[:4] == [None] * 4
    minutes = [(until - NOW) / timedelta(minutes=1) for until in waits[4:] if until is not None]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize("role", [Role.ADMIN, None])
def test_only_owners_make_and_unmake_owners(role: Role | None) -> None:
    owner = Actor(tenant_id=UUID(int=1), name="o", role=Role.OWNER)
    other = replace(owner, role=role, permissions=ROLE_PERMISSIONS[Role.ADMIN])
    check_may_assign(owner, Role.OWNER, Role.VIEWER)
    check_may_assign(other, Role.ADMIN, Role.VIEWER)
    with pytest.raises(Forbidden):
        check_may_assign(other, Role.OWNER)
    with pytest.raises(Forbidden):
        check_may_assign(other, Role.VIEWER, Role.OWNER)


def test_nobody_gives_or_takes_a_role_that_may_more_than_they_do() -> None:
    key = Actor(tenant_id=UUID(int=1), name="key", permissions=frozenset({Permission.MEMBERS_WRITE}))
    for role in Role:
        with pytest.raises(Forbidden):
            check_may_assign(key, role)
    check_may_assign(replace(key, permissions=ROLE_PERMISSIONS[Role.REVIEWER]), Role.VIEWER, Role.REVIEWER)


def test_each_role_may_what_the_lesser_one_may_and_none_what_is_the_operators() -> None:
    order = [Role.VIEWER, Role.REVIEWER, Role.ADMIN, Role.OWNER]
    for less, more in pairwise(order):
        assert ROLE_PERMISSIONS[less] < ROLE_PERMISSIONS[more]
    assert Permission.OPERATOR not in ROLE_PERMISSIONS[Role.OWNER]
    assert not {p for p in ROLE_PERMISSIONS[Role.VIEWER] if not p.value.endswith(":read")}
    assert Permission.MEMBERS_WRITE not in ROLE_PERMISSIONS[Role.REVIEWER]
