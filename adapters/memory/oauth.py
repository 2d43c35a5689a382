"""Tokens of OAuth2, and sign-ins under way."""

from __future__ import annotations

from uuid import UUID

from adapters.memory.state import Workspace
from core.domain.oauth import OAuthTokens, SignIn
from core.errors import Invalid


class MemoryOAuth:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state
        self._tokens = workspace.state.oauth_tokens

    def hold(self, connection_id: UUID) -> None:
        """Two transactions that change the same tokens: the commit of the second one fails."""

    def get(self, connection_id: UUID) -> OAuthTokens | None:
        return self._tokens.get(connection_id)

    def put(self, tokens: OAuthTokens) -> None:
        self._check(tokens.connection_id)
        self._tokens[tokens.connection_id] = tokens

    def forget(self, connection_id: UUID) -> None:
        self._tokens.pop(connection_id, None)
        for sign_in in [s for s in self._state.sign_ins.values() if s.connection_id == connection_id]:
            del self._state.sign_ins[sign_in.state_hash]

    def begin(self, sign_in: SignIn) -> None:
        self._check(sign_in.connection_id)
        self._state.sign_ins[sign_in.state_hash] = sign_in

    def _check(self, connection_id: UUID) -> None:
        if connection_id not in self._state.connections:
            raise Invalid("this connection does not exist")
