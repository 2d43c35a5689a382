"""What is taken for a provider of identities, and what its groups make of people."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core.domain.identity import claims_from, granted, providers_from
from core.domain.permissions import Role
from core.errors import Invalid

HARBOUR, QUAY = UUID(int=1), UUID(int=2)
WRITTEN = {"key": "acme", "issuer": "https://id.example", "client_id": "c"}


def provider(**fields: Any) -> Any:
    return providers_from([WRITTEN | fields])[0]


def test_a_provider_needs_little_and_is_strict_by_itself() -> None:
    made = provider()
    assert (made.title, made.scopes, made.algorithms) == ("acme", ("openid", "email", "profile"), ("RS256",))
    assert (made.audiences, made.authorized_parties, made.groups, made.email_domains) == ((), (), {}, ())
    assert "secret" not in repr(provider(client_secret="a-secret"))


@pytest.mark.parametrize(
    "written",
    [
        {},
        [{}],
        ["x"],
        [WRITTEN | {"key": ""}],
        [WRITTEN | {"key": "a/b"}],
        [WRITTEN | {"issuer": "id.example"}],
        [WRITTEN | {"client_id": None}],
        [WRITTEN | {"algorithms": ["HS256"]}],
        [WRITTEN | {"algorithms": ["none"]}],
        [WRITTEN | {"algorithms": []}],
        [WRITTEN | {"colour": "red"}],
        [WRITTEN | {"groups": {"admins": {"tenant": "x", "role": "admin"}}}],
        [WRITTEN | {"groups": {"admins": {"tenant": str(QUAY), "role": "king"}}}],
        [WRITTEN | {"groups": ["admins"]}],
        [WRITTEN, WRITTEN],
        [WRITTEN, WRITTEN | {"key": "other"}],
    ],
)
def test_what_is_no_provider_is_refused(written: Any) -> None:
    with pytest.raises(Invalid):
        providers_from(written)


def test_an_address_counts_only_where_the_issuer_verified_it() -> None:
    said, trusted = {"sub": "s", "email": "Ada@Example.org", "name": "Ada"}, provider(email_domains=["Example.ORG"])
    assert claims_from(trusted, said).email == ""
    assert claims_from(trusted, said | {"email_verified": "yes"}).email == ""
    assert claims_from(trusted, said | {"email_verified": False}).email == ""
    assert claims_from(trusted, said | {"email_verified": True}).email == "ada@example.org"
    assert claims_from(provider(email_domains=["*"]), said | {"email_verified": True}).email == "ada@example.org"
    for domains in ([], ["org"], ["other.example"], ["xexample.org"]):
        assert claims_from(provider(email_domains=domains), said | {"email_verified": True}).email == ""
    assert claims_from(provider(), said | {"name": f"Ada\nBcc: x{'y' * 80}"}).name == f"Ada Bcc: x{'y' * 70}"
    assert claims_from(provider(), said | {"name": "Operator"}).name == ""
    for nobody in ({}, {"sub": ""}, {"sub": 7}, {"sub": None}):
        with pytest.raises(Invalid):
            claims_from(provider(), nobody)


def test_groups_make_members_with_the_highest_of_their_roles() -> None:
    groups = {
        "readers": {"tenant": str(HARBOUR), "role": "viewer"},
        "heads": {"tenant": str(HARBOUR), "role": "owner"},
        "team": {"tenant": str(QUAY), "role": "reviewer"},
    }
    made = provider(groups=groups, groups_claim="realm_access.roles")
    said = {"sub": "s", "realm_access": {"roles": ["readers", "heads", "strangers", 7]}}
    claims = claims_from(made, said)
    assert claims.groups == ("readers", "heads", "strangers")
    assert granted(made, claims) == {HARBOUR: Role.OWNER}
    assert granted(made, replace(claims, groups=("readers", "team"))) == {HARBOUR: Role.VIEWER, QUAY: Role.REVIEWER}
    assert granted(made, replace(claims, groups=())) == {}
    dotted = claims_from(provider(groups_claim="https://x/groups"), {"sub": "s", "https://x/groups": "team"})
    assert dotted.groups == ("team",)


def test_the_documents_example_is_a_provider() -> None:
    document = (Path(__file__).parents[2] / "docs" / "people.md").read_text()
    written = document.partition("```json\n")[2].partition("```")[0].replace("0192f0c1-...", str(HARBOUR))
    [made] = providers_from(json.loads(written))
    assert made.speaks_for("ada@acme.example")
    assert made.groups == {"finance-heads": (HARBOUR, Role.ADMIN)}
