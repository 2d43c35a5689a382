"""What carries job ids to workers. It may lose them: the truth is in the storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID


class Broker(Protocol):
    def publish(self, tenant_id: UUID, job_id: UUID, stream: str, headers: Mapping[str, str]) -> None:
        """Raises `Transient` when the broker does not answer."""
        ...

    def reachable(self) -> bool: ...
