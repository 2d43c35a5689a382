"""OAuth2: what is asked of which provider, and whose a token is."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.oauth import Grant, filled, hash_state, oauth_client, pack_tokens, subject_of, unpack_tokens, url_safe
from core.domain.plugins import Auth, AuthKind
from core.errors import ConfigInvalid

AUTH = Auth(kind=AuthKind.OAUTH2, token_url="https://{shop}.example.com/token", scopes=("read",))


def an_id_token(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{payload}.sig"


@given(st.text(min_size=1).filter(lambda text: text.strip()))
def test_a_field_of_the_configuration_leads_to_no_other_host(shop: str) -> None:
    try:
        url = filled("https://{shop}.example.com/token", {"shop": shop})
    except UnicodeEncodeError:
        return  # half a surrogate pair, which no configuration holds
    assert url.endswith(".example.com/token")
    inserted = url.removeprefix("https://").removesuffix(".example.com/token")
    assert not set(inserted) & set("/?#@:\\ ")


def test_a_url_may_begin_with_that_of_the_configuration() -> None:
    assert filled("{base}/token?tenant={name}", {"base": "https://erp.example/x/", "name": "a&b"}) == (
        "https://erp.example/x/token?tenant=a%26b"
    )
    for config in ({}, {"base": ""}, {"base": None}, {"base": ["x"]}):
        with pytest.raises(ConfigInvalid, match="base is missing"):
            filled("{base}/token", config)


def test_a_client_is_what_the_configuration_says() -> None:
    client = oauth_client(AUTH, {"shop": "mine", "client_id": " id ", "client_secret": "secret"})
    assert (client.client_id, client.client_secret, client.token_url) == (
        "id",
        "secret",
        "https://mine.example.com/token",
    )
    assert "secret" not in repr(client).replace("client_secret", "")
    assert oauth_client(AUTH, {"shop": "mine", "client_id": "id"}).client_secret == ""
    with pytest.raises(ConfigInvalid, match="client_id is missing"):
        oauth_client(AUTH, {"shop": "mine"})
    service = Auth(kind=AuthKind.CLIENT_CREDENTIALS, token_url="https://example.com/token")
    with pytest.raises(ConfigInvalid, match="client_secret is missing"):
        oauth_client(service, {"client_id": "id"})


@pytest.mark.parametrize(
    ("token", "subject"),
    [
        (an_id_token({"sub": "alice"}), "alice"),
        (an_id_token({"sub": 7}), ""),
        (an_id_token(["sub"]), ""),
        (an_id_token({}), ""),
        ("a.b.c", ""),
        ("a.é.c", ""),
        ("nonsense", ""),
        (None, ""),
        ({"sub": "alice"}, ""),
    ],
)
def test_an_id_token_tells_whose_it_is(token: object, subject: str) -> None:
    assert subject_of(token) == subject


def test_tokens_are_packed_without_a_trace_in_representations() -> None:
    grant = Grant(access_token="canary-access", refresh_token="canary-refresh", expires_in=5)
    assert unpack_tokens(pack_tokens(grant)) == ("canary-access", "canary-refresh")
    assert "canary" not in repr(grant)


@given(st.binary(min_size=32, max_size=48))
def test_verifiers_and_states_are_fit_for_urls(entropy: bytes) -> None:
    text = url_safe(entropy)
    assert 43 <= len(text) <= 128  # RFC 7636
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert len(hash_state(text)) == 32
