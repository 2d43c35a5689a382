"""What connections and endpoints keep sealed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from adapters.memory.state import Workspace
from core.domain.connections import SealedPurpose, SealedValue


class MemorySealed:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state

    def otherwise(self, prefix: bytes, *, after: UUID | None, limit: int) -> Sequence[SealedValue]:
        found = [v for v in self._all() if not v.sealed.startswith(prefix) and (after is None or v.of_id > after)]
        among = sorted({value.of_id for value in found})[:limit]
        return sorted((v for v in found if v.of_id in among), key=lambda v: v.of_id)

    def reseal(self, anew: Sequence[tuple[SealedValue, bytes]]) -> int:
        return sum(self._write(value, sealed) for value, sealed in anew)

    def _write(self, value: SealedValue, sealed: bytes) -> bool:
        if value not in self._all():
            return False
        state, id = self._state, value.of_id
        match value.purpose:
            case SealedPurpose.CONFIG:
                state.connections[id] = replace(state.connections[id], sealed=sealed)
            case SealedPurpose.TOKENS:
                state.oauth_tokens[id] = replace(state.oauth_tokens[id], sealed=sealed)
            case SealedPurpose.SIGN_IN:
                for found in [s for s in state.sign_ins.values() if (s.connection_id, s.sealed) == (id, value.sealed)]:
                    state.sign_ins[found.state_hash] = replace(found, sealed=sealed)
            case SealedPurpose.ENDPOINT:
                state.endpoints[id] = replace(state.endpoints[id], sealed=sealed)
        return True

    def _all(self) -> Iterator[SealedValue]:
        for one in self._state.connections.values():
            if one.sealed is not None:
                yield SealedValue(purpose=SealedPurpose.CONFIG, of_id=one.id, sealed=one.sealed)
        for tokens in self._state.oauth_tokens.values():
            yield SealedValue(purpose=SealedPurpose.TOKENS, of_id=tokens.connection_id, sealed=tokens.sealed)
        for sign_in in self._state.sign_ins.values():
            yield SealedValue(purpose=SealedPurpose.SIGN_IN, of_id=sign_in.connection_id, sealed=sign_in.sealed)
        for endpoint in self._state.endpoints.values():
            if endpoint.sealed is not None:
                yield SealedValue(purpose=SealedPurpose.ENDPOINT, of_id=endpoint.id, sealed=endpoint.sealed)
