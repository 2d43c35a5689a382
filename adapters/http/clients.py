"""The client that each connection gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx2

from adapters.http.client import ConnectionHttp
from adapters.http.credentials import credentials_of
from adapters.http.rates import Rates
from adapters.http.redaction import Redactor, secrets_of
from core.domain.connections import Connection
from core.domain.plugins import ConnectorManifest
from core.domain.tenants import Actor
from ports.connectors import HttpClient


class Tokens(Protocol):
    def __call__(
        self,
        actor: Actor,
        connection: Connection,
        manifest: ConnectorManifest,
        config: Mapping[str, Any],
        *,
        rejected: str | None = None,
    ) -> str:
        """An access token of the connection, as `adapters.http.credentials.Token` says."""
        ...


class GuardedClients:
    """`HttpClients`: what they send goes by one transport, and waits by one set of rate limits."""

    def __init__(
        self, transport: httpx2.BaseTransport, *, rates: Rates, tokens: Tokens, jitter: Callable[[], float]
    ) -> None:
        self._transport = transport
        self._rates = rates
        self._tokens = tokens
        self._jitter = jitter

    def of(
        self,
        actor: Actor,
        connection: Connection,
        manifest: ConnectorManifest,
        config: Mapping[str, Any],
        *,
        learned: Callable[[str], None] | None = None,
    ) -> HttpClient:
        def token(rejected: str | None = None) -> str:
            given = self._tokens(actor, connection, manifest, config, rejected=rejected)
            if learned is not None:
                learned(given)
            return given

        return ConnectionHttp(
            self._transport,
            credentials=credentials_of(manifest.auth, config, token),
            redactor=Redactor(secrets_of(config, {*manifest.secret_fields(), manifest.auth.field})),
            rates=self._rates,
            rate_key=f"{connection.tenant_id}:{manifest.key}",
            rate_limit=manifest.rate_limit,
            jitter=self._jitter,
        )
