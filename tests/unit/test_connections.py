"""Which changes of a configuration may lead its secrets to another host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from core.domain.connections import leads_elsewhere, split_secrets
from core.domain.plugins import Auth, AuthKind, ConnectorManifest
from plugins.files import FILE_FIELDS
from plugins.remote_files import CONFIG_SCHEMA as REMOTE
from plugins.rest.schema import config_schema

AUTH = Auth(
    kind=AuthKind.OAUTH2,
    authorize_url="https://{shop}.example.com/authorize",
    token_url="{token_url}",
    revoke_url="https://api.example.com/{realm}/revoke",
)
HARMLESS = {"x-leads-nowhere": True}
SCHEMA = {
    "type": "object",
    "properties": {
        "note": HARMLESS,
        "pattern": FILE_FIELDS["pattern"],
        "mode": {"enum": ["a/b", "c/d"]},
        "deep": {
            "type": "object",
            "properties": {"note": HARMLESS, "items": {"items": {"properties": {"x/y": HARMLESS}}}},
            "additionalProperties": HARMLESS,
        },
        "mixed": {"properties": {"note": HARMLESS}},
        "key": {"writeOnly": True},
    },
}


def manifest(auth: Auth = AUTH, schema: Mapping[str, Any] = SCHEMA) -> ConnectorManifest:
    return ConnectorManifest(key="a", version="1", title="A", factory="a:b", config_schema=schema, auth=auth)


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
        ({"host": "good"}, {"host": "evil\u3002com/"}),
        ({"host": "good"}, {"host": "evil\uff0ecom"}),
        ({"host": "good"}, {"host": "evil\uff61com"}),
        ({"host": "good"}, {"host": "evil\u2024com"}),
        ({"host": "good"}, {"host": "evil/"}),
        ({"host": "good"}, {"host": "evil#"}),
        ({"host": "good"}, {"host": "x@evil"}),
        ({"host": "good"}, {"host": "evil\n"}),
        ({"host": "good"}, {"host": "\uff45vil"}),
        ({"note": "good"}, {"note": "evil\u3002com/"}),
        ({"note": "good"}, {"note": "http\uff1a//evil"}),
        ({"key": "good"}, {"key": "evil\uff0ecom"}),
        ({"mixed": {"other": "a"}}, {"mixed": {"other": "a/"}}),
        ({"mixed": {"a": 1}}, {"mixed": {"a/": 1}}),
        ({"hosts": {"a": 1}}, {"hosts": {"evil.example": 1}}),
    ],
)
def test_what_may_lead_elsewhere_is_named(former: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    assert leads_elsewhere(former, present, manifest()) == tuple({**former, **present})


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ({"base_url": "https://a.example", "account": "1"}, {"base_url": "https://a.example", "account": "2"}),
        ({"streams": [{"url": "https://a.example", "n": 1}]}, {"streams": [{"n": 2, "url": "https://a.example"}]}),
        ({"deep": {"text": "$.data.name"}}, {"deep": {"text": "$.data.title"}}),
        ({"deep": {"note": "a, b"}}, {"deep": {"note": "c, d"}}),
        ({"deep": {"items": [{"x/y": "a/"}]}}, {"deep": {"items": [{"x/y": "b/"}, {"x/y": "c/"}]}}),
        ({"mode": "a/b"}, {"mode": "c/d"}),
        ({"key": "canary/a+b=="}, {"key": "canary/c+d=="}),
        ({"account": "a-1_B"}, {"account": "c-2_D"}),
        ({"pattern": "*.csv"}, {"pattern": "**/*.ofx"}),
        ({"account": "main"}, {}),
        ({"note": "see a.example for more"}, {"note": "see b.example, or not"}),
    ],
)
def test_what_leads_nowhere_else_needs_no_secret_again(former: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    assert leads_elsewhere(former, present, manifest()) == ()


def test_without_urls_of_its_own_a_plain_text_leads_nowhere() -> None:
    assert leads_elsewhere({"shop": "mine"}, {"shop": "yours"}, manifest(Auth())) == ()


def test_built_in_connectors_ask_for_no_secret_again_where_no_host_changes() -> None:
    rest = manifest(Auth(), config_schema())

    def declared(path: str, text: str, name: str) -> Mapping[str, Any]:
        fields = {"external_id": "$.id", "text": [text], "occurred_at": {"path": "$.at", "format": "%d.%m.%Y"}}
        stream = {"name": name, "path": path, "params": {"created[gte]": text}, "fields": fields}
        return {"base_url": "https://a.example", "headers": {"Accept": name}, "streams": [stream]}

    former, present = declared("/v1/a", "$.x.name", "a/b; c"), declared("/v2/b", "$.y.title", "d, e")
    assert leads_elsewhere(former, present, rest) == ()
    assert leads_elsewhere(former, {**present, "base_url": "https://b\u3002example"}, rest) == ("base_url",)
    remote = manifest(Auth(), REMOTE)
    former = {"url": "az://box", "user": "mine", "options": {"date_format": "%d/%m/%Y", "columns": {"text": "A: b"}}}
    present = {"url": "az://box", "user": "mine", "options": {"delimiter": ";"}, "pattern": "2026/**/*.csv"}
    assert leads_elsewhere(former, present, remote) == ()
    assert leads_elsewhere(former, {**present, "user": "evil\u3002example/"}, remote) == ("user",)


def test_a_configuration_is_split_into_what_shows_and_what_is_secret() -> None:
    assert split_secrets({"a": 1, "key": None}, frozenset({"key", "pin"})) == ({"a": 1}, {"key": None})
