"""Connections and imports: where a tenant's records come from, and each delivery of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from core.domain.health import Health
from core.domain.oauth import url_fields
from core.domain.plugins import ConnectorManifest
from core.domain.tenants import STAGES
from core.errors import Conflict, Invalid

CHUNK_BYTES = 1 << 20
"""Payloads are kept in Postgres in pieces of this size until they are read."""
MIN_SCHEDULE, MAX_SCHEDULE = 60, 31 * 86_400
"""Seconds between two syncs."""
MAX_STREAMS = 1_000
MAX_STREAM_NAME = 200
MAX_CURSOR = 1 << 16
"""Characters of a cursor in JSON."""
UPLOADS = "uploads"
"""The name of the connection, one a connector, of what comes in without one being named."""
HAS_RECORDS = "this connection has records or imports, which stay: disable it by POST /connections/{id}/disable"
"""Why one can't be deleted."""
_HOST = re.compile(
    r"(//)?([^\s/@]*@)?(localhost|([\w-]+\.)+[\w-]+\.?|[\w-]+(?=:\d)|\[[0-9a-f:.]+\]|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f.]*)"
    r"(:\d+)?([/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
"""A name or an address of a host, perhaps with a user before it, and a port and a path behind it."""
_PLAIN = re.compile(r"[A-Za-z0-9_-]*")
"""Set into a URL, such a text leads nowhere else: it ends no name of a host and begins none."""
_FULL_STOPS = str.maketrans("\u3002\uff0e\uff61", "...")
"""What names of hosts are split at, beside the dot of ASCII (RFC 3490, 3.1)."""
LEADS_NOWHERE = "x-leads-nowhere"
"""True in the schema of a field: what stands there names no host, whatever characters it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One tenant's configured instance of a connector.

    `config` is without its secrets: these are `sealed` together, and `secrets` names those that are set. `version`
    rises with what a person changes; what syncs note (`health` and what follows it) leaves it.
    """

    id: UUID
    tenant_id: UUID
    connector: str
    name: str
    config: Mapping[str, Any]
    created_at: datetime
    version: int
    sealed: bytes | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = ()
    schedule_seconds: int | None = None
    """None: it is synced on demand alone."""
    streams: tuple[str, ...] | None = None
    """What is read of the source; None: all that it has."""
    health: Health = Health.HEALTHY
    failures: int = 0
    """Syncs that failed in a row."""
    next_sync_at: datetime | None = None
    last_synced_at: datetime | None = None
    """When a sync last ended well."""
    disabled_at: datetime | None = None
    """When it was ended: since then it has no secrets, and nothing comes in by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCursor:
    """How far a stream was read: what is stored of it reaches to `cursor`, which has the form of `state_version`."""

    stream: str
    cursor: Mapping[str, Any]
    state_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What imports and deliveries of a connection brought; those that were undone are left out."""

    imports: int
    inserted: int
    known: int
    refused: int


class SealedPurpose(StrEnum):
    """What a sealed value of a connection, or of an endpoint, is for."""

    CONFIG = "config"
    """The secret fields of its configuration."""
    TOKENS = "oauth"
    SIGN_IN = "oauth-sign-in"
    """The verifier of one that is under way."""
    ENDPOINT = "endpoint"
    """What signs the webhooks that an endpoint gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedValue:
    purpose: SealedPurpose
    of_id: UUID
    """The connection's, or the endpoint's."""
    sealed: bytes = field(repr=False)


def secrets_context(tenant_id: UUID, of_id: UUID, purpose: SealedPurpose = SealedPurpose.CONFIG) -> str:
    """What a sealed value is bound to: sealed for one place, it opens in no other."""
    return f"{tenant_id}/{of_id}/{purpose}"


def check_schedule(seconds: int | None) -> int | None:
    """Raises `Invalid`."""
    if seconds is not None and not MIN_SCHEDULE <= seconds <= MAX_SCHEDULE:
        raise Invalid(f"schedule_seconds lies between {MIN_SCHEDULE} and {MAX_SCHEDULE}, or is null")
    return seconds


def check_streams(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Distinct names in their order. Raises `Invalid`."""
    if names is None:
        return None
    if not names or len(names) > MAX_STREAMS:
        raise Invalid(f"streams names 1 to {MAX_STREAMS} streams, or is null for all that there are")
    if any(not 0 < len(name) <= MAX_STREAM_NAME or "\x00" in name for name in names):
        raise Invalid(f"a stream's name has 1 to {MAX_STREAM_NAME} characters")
    return tuple(dict.fromkeys(names))


def check_enabled(connection: Connection) -> None:
    """Raises `Conflict` for one that was ended."""
    if connection.disabled_at is not None:
        raise Conflict("this connection is disabled: enter its secrets again, then resume it")


def split_secrets(config: Mapping[str, Any], secret_fields: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of a configuration may be shown, and what is secret."""
    shown = {field: value for field, value in config.items() if field not in secret_fields}
    return shown, {field: value for field, value in config.items() if field in secret_fields}


def leads_elsewhere(
    former: Mapping[str, Any], present: Mapping[str, Any], manifest: ConnectorManifest
) -> tuple[str, ...]:
    """The fields by whose change a configuration may lead its connector, and the secrets with it, to another host:
    those that `manifest.auth` makes URLs of, and those in which texts changed, however deep they stand, that are no
    plain words. Of secrets, and of what the schema says `LEADS_NOWHERE` or has a list of values for, only URLs and
    names of hosts count."""
    named, secret = url_fields(manifest.auth), manifest.secret_fields()
    schemas = manifest.config_schema.get("properties", {})

    def leading(field: str, value: Any) -> set[str]:
        return set(_leading(value, schemas.get(field), field in secret))

    return tuple(
        field
        for field in sorted(former.keys() | present.keys())
        if (before := former.get(field)) != (now := present.get(field))
        and (field in named or leading(field, before) != leading(field, now))
    )


def _leading(value: Any, schema: Any, harmless: bool) -> Iterator[str]:
    """The texts in it that may lead somewhere. `harmless`: only those that look as if they did."""
    schema = schema if isinstance(schema, Mapping) else {}
    harmless = harmless or schema.get(LEADS_NOWHERE) is True or "enum" in schema or "const" in schema
    match value:
        case str() if _looks_like_host(value) or not (harmless or _PLAIN.fullmatch(value)):
            yield value
        case Mapping():
            parts, others = schema.get("properties", {}), schema.get("additionalProperties")
            for key, part in value.items():
                if not (harmless or key in parts or _PLAIN.fullmatch(str(key))):
                    yield str(key)
                yield from _leading(part, parts.get(key, others), harmless)
        case list() | tuple():
            for part in value:
                yield from _leading(part, schema.get("items"), harmless)


def _looks_like_host(text: str) -> bool:
    text = unicodedata.normalize("NFKC", text.translate(_FULL_STOPS)).strip()
    return "://" in text or _HOST.fullmatch(text) is not None


class ImportStatus(StrEnum):
    RECEIVED = "received"
    READING = "reading"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A delivery of records: a file, or a call of the API. `approved` says that its categories are a person's. `held`
    of those that were `inserted` wait until the tenant's plan has room for them.

    `refusals` holds the first `MAX_REFUSALS` (position, reason) pairs; `refused` counts all. `gaps` holds the first
    `MAX_GAPS` of the statements whose balances differ from what was read.
    """

    id: UUID
    tenant_id: UUID
    connection_id: UUID
    job_id: UUID
    filename: str
    bytes: int
    sha256: str
    approved: bool
    status: ImportStatus
    inserted: int
    known: int
    refused: int
    refusals: tuple[Mapping[str, Any], ...]
    failure: str | None
    created_at: datetime
    finished_at: datetime | None
    gaps: tuple[Mapping[str, Any], ...] = ()
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProgress:
    """An import as far as it got, and how many of its `records` there are by status and the stage that decided."""

    imported: Import
    records: Mapping[tuple[str, str | None], int]

    @property
    def over(self) -> bool:
        """Whether nothing more becomes of it by itself."""
        if self.imported.status in (ImportStatus.FAILED, ImportStatus.UNDONE):
            return True
        return self.imported.status is ImportStatus.DONE and not self.count("ingested")

    @property
    def asked(self) -> int:
        """What a person is asked of, or decided."""
        return self.count("needs_review", "approved", "overridden")

    @property
    def automation(self) -> float | None:
        """The share of what is decided alone, of this and of what is asked of a person; None without any."""
        alone = sum(self.count("processed", stage=stage) for stage in STAGES)
        return alone / (alone + self.asked) if alone + self.asked else None

    def count(self, *statuses: str, stage: str | None = None) -> int:
        """With one of these statuses, of all stages or of one."""
        return sum(n for (status, by), n in self.records.items() if status in statuses and stage in (None, by))


MAX_REFUSALS = 200
MAX_GAPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What an import would do: counts, and the first few of each; `complete` unless the file has more than a dry run
    looks at."""

    connector: str
    new: int
    known: int
    refused: int
    refusals: tuple[Mapping[str, Any], ...]
    samples: tuple[Mapping[str, Any], ...]
    gaps: tuple[Mapping[str, Any], ...] = ()
    complete: bool = True
