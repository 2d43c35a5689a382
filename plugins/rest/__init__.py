"""A generic source: any JSON API over HTTP, told by declaration. A manifest for each way to identify oneself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plugins.rest.schema import config_schema
from sortation import Auth, AuthKind, ConnectorManifest, RateLimit, hookimpl

_SECRET: Mapping[str, Any] = {"type": "string", "minLength": 1, "writeOnly": True}
_URL: Mapping[str, Any] = {"type": "string", "format": "uri", "pattern": r"^https?://[^\s#@]+$"}
_KEY: Mapping[str, Any] = {
    "api_key": {**_SECRET, "description": "The key that the source gave out."},
    "key_header": {
        "type": "string",
        "pattern": r"^[A-Za-z0-9-]{1,100}$",
        "description": "The header that carries it.",
        "examples": ["Authorization", "X-Api-Key"],
    },
    "key_prefix": {
        "type": "string",
        "pattern": r"^[ -~]{0,50}$",
        "description": "What stands before it there; it may be empty.",
        "examples": ["Bearer ", "Token ", ""],
    },
}
_CLIENT: Mapping[str, Any] = {
    "token_url": {
        **_URL,
        "description": "Where tokens are given out.",
        "examples": ["https://api.example.com/oauth/token"],
    },
    "client_id": {"type": "string", "minLength": 1, "description": "As the source registered you."},
    "client_secret": {**_SECRET, "description": "As the source registered you."},
    "scope": {
        "type": "string",
        "description": "What is asked for, separated by spaces; it may be empty.",
        "examples": ["transactions:read"],
    },
}
_SIGN_IN: Mapping[str, Any] = {
    "authorize_url": {
        **_URL,
        "description": "Where a person signs in.",
        "examples": ["https://api.example.com/oauth/authorize"],
    },
    **_CLIENT,
}


def _manifest(key: str, title: str, auth: Auth, fields: Mapping[str, Any]) -> ConnectorManifest:
    return ConnectorManifest(
        key=key,
        version="1.0.0",
        title=title,
        factory="plugins.rest.connector:Rest",
        config_schema=config_schema(fields),
        pulls=True,
        declared=True,
        auth=auth,
        rate_limit=RateLimit(requests=10, seconds=1),
    )


_TOKENS = "{token_url}"


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    key = Auth(kind=AuthKind.API_KEY, header="{key_header}", value="{key_prefix}{key}")
    sign_in = Auth(kind=AuthKind.OAUTH2, authorize_url="{authorize_url}", token_url=_TOKENS, scopes=("{scope}",))
    machine = Auth(kind=AuthKind.CLIENT_CREDENTIALS, token_url=_TOKENS, scopes=("{scope}",))
    return [
        _manifest("rest", "REST API, open", Auth(), {}),
        _manifest("rest-key", "REST API with a key", key, _KEY),
        _manifest("rest-oauth2", "REST API with OAuth2 sign-in", sign_in, _SIGN_IN),
        _manifest("rest-client", "REST API with OAuth2 client credentials", machine, _CLIENT),
    ]
