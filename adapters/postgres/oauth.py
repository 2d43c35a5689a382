"""Tokens of OAuth2, and sign-ins under way."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, RowMapping, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.guards import conflicts
from adapters.postgres.oauth_tables import oauth_states, oauth_tokens
from core.domain.oauth import OAuthTokens, SignIn

_HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended('oauth:' || :connection, 0))")
_COLUMNS = [oauth_tokens.c[name] for name in OAuthTokens.__slots__]


class PostgresOAuth:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def hold(self, connection_id: UUID) -> None:
        self._connection.execute(_HOLD, {"connection": f"{self._tenant_id}/{connection_id}"})

    def get(self, connection_id: UUID) -> OAuthTokens | None:
        query = select(*_COLUMNS).where(
            oauth_tokens.c.tenant_id == self._tenant_id, oauth_tokens.c.connection_id == connection_id
        )
        row = self._connection.execute(query).mappings().first()
        return None if row is None else _to_tokens(row)

    def put(self, tokens: OAuthTokens) -> None:
        values = {name: getattr(tokens, name) for name in OAuthTokens.__slots__}
        changed = {name: value for name, value in values.items() if name != "connection_id"}
        with conflicts(unknown="this connection does not exist"):
            self._connection.execute(
                insert(oauth_tokens)
                .values(tenant_id=self._tenant_id, **values)
                .on_conflict_do_update(index_elements=["tenant_id", "connection_id"], set_=changed)
            )

    def forget(self, connection_id: UUID) -> None:
        for table in (oauth_tokens, oauth_states):
            of_connection = (table.c.tenant_id == self._tenant_id, table.c.connection_id == connection_id)
            self._connection.execute(table.delete().where(*of_connection))

    def begin(self, sign_in: SignIn) -> None:
        values = {name: getattr(sign_in, name) for name in SignIn.__slots__}
        with conflicts(unknown="this connection does not exist"):
            self._connection.execute(insert(oauth_states).values(values))


def to_sign_in(row: RowMapping) -> SignIn:
    values = {name: row[name] for name in SignIn.__slots__}
    return SignIn(**values | {name: bytes(row[name]) for name in ("state_hash", "sealed")})


def _to_tokens(row: RowMapping) -> OAuthTokens:
    return OAuthTokens(**dict(row) | {"sealed": bytes(row["sealed"])})
