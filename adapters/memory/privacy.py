"""What is kept of a tenant or a person, given out as a whole or erased."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from adapters.memory.notifications import forget_endpoint
from adapters.memory.state import MemoryStore, as_json
from core.domain.names import is_reserved
from core.domain.tenants import User

_ERASED = "erased person"


class MemoryPrivacy:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def tenant_rows(self, tenant_id: UUID) -> Iterator[tuple[str, Mapping[str, Any]]]:
        with self._store.lock:
            state = self._store.state(tenant_id)
            kept: Mapping[str, list[Any]] = {
                "users": [user for user in state.users.values() if user.id in state.memberships],
                "tenants": list(state.tenants.values()),
                "memberships": list(state.memberships.values()),
                "categories": list(state.categories.values()),
                "records": [one.record for one in state.records.values()],
                "approvals": list(state.approvals.values()),
                "saved_views": list(state.views.values()),
            }
        for kind, things in kept.items():
            yield from ((kind, as_json(asdict(thing))) for thing in things)

    def person_rows(self, user_id: UUID) -> Iterator[tuple[str, Mapping[str, Any]]]:
        with self._store.lock:
            users = [user for user in self._store.users.values() if user.id == user_id]
            tenants = [state for state in self._store.tenants.values() if user_id in state.memberships]
            members = [state.memberships[user_id] for state in tenants]
            names = {name for user in users for name in _names(user, self._store.users.values())}
            views = [v for state in tenants for v in state.views.values() if v.user_id == user_id]
            answers = [a for state in tenants for a in state.approvals.values() if a.decided_by in names]
        yield from (("users", as_json(asdict(user))) for user in users)
        yield from (("memberships", as_json(asdict(member))) for member in members)
        yield from (("saved_views", as_json(asdict(view))) for view in views)
        yield from (("approvals", as_json(asdict(answer))) for answer in answers)

    def tenants_of_person(self, user_id: UUID) -> Sequence[UUID]:
        with self._store.lock:
            emails = {user.email for user in self._store.users.values() if user.id == user_id}
            return sorted(
                id
                for id, state in self._store.tenants.items()
                if user_id in state.memberships
                or any(batch.actor_id == user_id for batch in state.batches.values())
                or any(invitation.email in emails for invitation in state.invitations.values())
            )

    def erase_tenant(self, tenant_id: UUID) -> None:
        with self._store.lock:
            self._store.tenants.pop(tenant_id, None)

    def erase_person(self, user_id: UUID) -> None:
        with self._store.lock:
            user = next(user for user in self._store.users.values() if user.id == user_id)
            names = _names(user, self._store.users.values())
            for state in self._store.tenants.values():
                state.memberships.pop(user_id, None)
                for id in [one.id for one in state.endpoints.values() if one.user_id == user_id]:
                    forget_endpoint(state, id)
                for id in [id for id, view in state.views.items() if view.user_id == user_id]:
                    del state.views[id]
                for id, approval in state.approvals.items():
                    if approval.decided_by in names:
                        state.approvals[id] = replace(approval, decided_by=_ERASED)
                for id, record in state.records.items():
                    trace = _without(names, record.record.reasoning_trace)
                    state.records[id] = replace(record, record=replace(record.record, reasoning_trace=trace))
                for id, batch in state.batches.items():
                    by_name = batch.actor_id is None and batch.actor in names
                    if batch.actor_id == user_id or by_name:
                        state.batches[id] = replace(batch, actor=_ERASED, address=None, user_agent=None)
            del self._store.users[user.email]
            erased = replace(user, email=f"erased-{user_id}@invalid", name="")
            self._store.users[erased.email] = erased
            self._store.accounts.pop(user_id, None)
            for key in [key for key, known in self._store.identities.items() if known == user_id]:
                del self._store.identities[key]
            for id in [s.id for s in self._store.sessions.values() if s.user_id == user_id]:
                del self._store.sessions[id]
            for id in [device.id for device in self._store.devices.values() if device.user_id == user_id]:
                del self._store.devices[id]


def _names(user: User, people: Iterable[User]) -> set[str]:
    """By which something tells the person and nobody else: there are no ids beside names here."""
    others = {name for other in people if other.id != user.id for name in (other.email, other.name)}
    return {name for name in (user.email, user.name) if name and not is_reserved(name)} - others


def _without(names: Iterable[str], trace: Any) -> Any:
    """A record's trace in which somebody else decided what these people did."""
    written = json.dumps(trace)
    for name in names:
        quoted = json.dumps(name)[1:-1]
        written = written.replace(f'"person:{quoted}"', f'"person:{_ERASED}"')
        written = written.replace(f" by {quoted} at ", f" by {_ERASED} at ")
    return json.loads(written)
