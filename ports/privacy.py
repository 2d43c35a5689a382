"""What is kept of a tenant or a person, given out as a whole or erased."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID


class PrivacyStorage(Protocol):
    def tenant_rows(self, tenant_id: UUID) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """(kind, row) of everything that the tenant has, kind by kind, as JSON, with the people who are its members,
        and files as base64; secrets and what is only derived from the rest are left out. Lazily, as one snapshot."""
        ...

    def person_rows(self, user_id: UUID) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The same of everything that names the person."""
        ...

    def tenants_of_person(self, user_id: UUID) -> Sequence[UUID]:
        """Those that have anything of the person's, by rising id; also where they left, or never came."""
        ...

    def erase_tenant(self, tenant_id: UUID) -> None:
        """Erases everything of the tenant, piece by piece; to be called again where it was cut off. What is written
        meanwhile goes, too."""
        ...

    def erase_person(self, user_id: UUID) -> None:
        """Erases what proves and names the person, in all tenants at once. What they decided stays, as somebody's, and
        their address may be somebody's anew."""
        ...
