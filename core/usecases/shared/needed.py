"""Which plugins a job needs."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from core.domain.conditions import rule_types_in
from core.domain.jobs import Job, Stream
from core.errors import NotFound
from ports.storage import Transaction

_WITH_RULES = frozenset({Stream.PROCESS, Stream.RUN})


def needed_plugins(tx: Transaction, job: Job) -> frozenset[str]:
    """As `core.domain.inventories` names them: the connector that the job reads with, or the rule types that stand in
    the tenant's rules."""
    if job.stream in _WITH_RULES:
        return frozenset(f"rule_type:{key}" for rule in tx.rules.list() for key in rule_types_in(rule.when))
    try:
        return frozenset(f"connector:{tx.connections.get(id).connector}" for id in _connections(tx, job))
    except NotFound:  # it is gone meanwhile, as the job will find
        return frozenset()


def _connections(tx: Transaction, job: Job) -> Iterator[UUID]:
    match job.stream:
        case Stream.SYNC:
            yield UUID(job.payload["connection_id"])
        case Stream.INGEST:
            yield tx.imports.get(UUID(job.payload["import_id"])).connection_id
        case Stream.WEBHOOK:
            yield tx.deliveries.get(UUID(job.payload["delivery_id"])).connection_id
