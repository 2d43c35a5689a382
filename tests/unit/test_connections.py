"""Which changes of a configuration may lead its secrets to another host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from core.domain.connections import leads_elsewhere, split_secrets
from core.domain.plugins import Auth, AuthKind

AUTH = Auth(
    kind=AuthKind.OAUTH2,
    authorize_url="https://{shop}.example.com/authorize",
    token_url="{token_url}",
    revoke_url="https://api.example.com/{realm}/revoke",
)


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ({"base_url": "https://a.example"}, {"base_url": "https://b.example"}),
        ({"base_url": "https://a.example"}, {"base_url": "https://a.example:8443"}),
        ({"base_url": "https://a.example"}, {"base_url": "evil"}),
        ({"base_url": "none"}, {"base_url": "https://b.example"}),
        ({"base_url": "https://a.example"}, {}),
        ({}, {"base_url": "https://b.example"}),
        ({"host": "db.internal"}, {"host": "10.0.0.9"}),
        ({"host": "db.internal"}, {"host": "db.internal:99"}),
        ({"host": "localhost"}, {"host": "x"}),
        ({"host": "erp:80"}, {"host": "erp2:80"}),
        ({"host": "x"}, {"host": "[::1]:80"}),
        ({"host": "x"}, {"host": "fe80::1"}),
        ({"host": "x"}, {"host": "//evil.example/path"}),
        ({"host": "x"}, {"host": "me:pw@evil.example"}),
        ({"host": "a.example/v1"}, {"host": "b.example/v1"}),
        ({"streams": [{"urls": ["https://a.example"]}]}, {"streams": [{"urls": ["https://b.example"]}]}),
        ({"shop": "mine"}, {"shop": "yours"}),
        ({"realm": 1}, {"realm": 2}),
    ],
)
def test_what_may_lead_elsewhere_is_named(former: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    assert leads_elsewhere(former, present, AUTH) == tuple({**former, **present})


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ({"base_url": "https://a.example", "account": "1"}, {"base_url": "https://a.example", "account": "2"}),
        ({"streams": [{"url": "https://a.example", "n": 1}]}, {"streams": [{"n": 2, "url": "https://a.example"}]}),
        ({"fields": {"text": "$.data.name"}}, {"fields": {"text": "$.data.title"}}),
        ({"pattern": "*.csv"}, {"pattern": "**/*.ofx"}),
        ({"account": "main"}, {}),
        ({"note": "see a.example for more"}, {"note": "see b.example, or not"}),
    ],
)
def test_what_leads_nowhere_else_needs_no_secret_again(former: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    assert leads_elsewhere(former, present, AUTH) == ()


def test_without_urls_of_its_own_a_plain_text_leads_nowhere() -> None:
    assert leads_elsewhere({"shop": "mine"}, {"shop": "yours"}, Auth()) == ()


def test_a_configuration_is_split_into_what_shows_and_what_is_secret() -> None:
    assert split_secrets({"a": 1, "key": None}, frozenset({"key", "pin"})) == ({"a": 1}, {"key": None})
