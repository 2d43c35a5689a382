"""Tenants, the people in them, and the actor of a call."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from core.domain.permissions import GRANTABLE, Permission, Role
from core.errors import Forbidden, Invalid

DEFAULT_SOURCE_AGENT = "balance"
OPERATOR = "operator"
"""What the log calls who runs the installation."""
STAGES = ("rules", "similarity", "llm")
"""Those that may decide without a person."""
MAX_CAP = Decimal(10) ** 9
CAP_DECIMALS = 8
MOST_DAYS = 36_500
MOST_QUEUED = 1_000_000
MAX_PERSON_NAME = 80
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Overrides of the direction of writing, by which a text reads as another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """What a tenant tunes. Probabilities are 0 to 1.

    `promise` is the share of what is decided alone that must be right: a rule that people's answers show to be below it
    is demoted, rules are proposed only where they keep it, and similarity and the LLM decide alone only where they do.
    `similarity_threshold` and `llm_threshold` fix the confidence from which a stage decides instead, whatever becomes
    of the promise. `alone` are the stages that may decide without a person. `spot_check_share` is the random share of
    what was decided alone that goes to a person all the same. `llm_monthly_cap` is what the LLM may cost in a calendar
    month (UTC), in US dollars; None is no cap. `queue_limit`: with more open approvals its endpoints are told so.

    How many days something is kept: `payload_retention_days` what came in, as it came (or less, where the operator
    keeps it shorter), `record_retention_days` records, from the day on when they occurred, `log_retention_days` in the
    log, who acted and from where. None is for ever, of payloads as long as the operator keeps them.
    """

    default_currency: str = "EUR"
    trusted_packs: tuple[str, ...] = ()
    promise: float = 0.95
    similarity_threshold: float | None = None
    llm_threshold: float | None = None
    alone: tuple[str, ...] = STAGES
    spot_check_share: float = 0.02
    llm_monthly_cap: Decimal | None = None
    payload_retention_days: int | None = None
    record_retention_days: int | None = None
    log_retention_days: int | None = None
    queue_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An organisation; `time_zone` is an IANA name and says on which day an instant falls."""

    id: UUID
    name: str
    time_zone: str
    settings: TenantSettings
    rules_version: int
    """Rises with every change of a rule, so that compiled rules know when they are stale."""
    created_at: datetime
    version: int

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def capped(self, cap: Decimal | None) -> Tenant:
        """The same, with another `llm_monthly_cap`."""
        return replace(self, settings=replace(self.settings, llm_monthly_cap=cap))


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    id: UUID
    email: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    tenant_id: UUID
    user_id: UUID
    role: Role
    granted_by: str | None = None
    """The issuer whose groups made them a member, and may unmake them; None: a person's invitation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """A client's Idempotency-Key and the digest of the request that it came with."""

    key: str
    request_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who calls, for which tenant, and what they may do. `name` is what the log and the trace say."""

    tenant_id: UUID
    name: str
    permissions: frozenset[Permission] = frozenset()
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    source_agent: str = DEFAULT_SOURCE_AGENT
    request_id: str | None = None
    address: str | None = None
    """From where they call: an IP address."""
    user_agent: str | None = None
    role: Role | None = None
    """A person's, in this tenant; None for programs."""
    idempotency: Idempotency | None = None

    @property
    def id(self) -> UUID | None:
        """Of the person or the API key."""
        return self.user_id or self.api_key_id

    @property
    def agent(self) -> str | None:
        """The agent that calls by an API key, by the name that it gives itself; None for a person."""
        return self.source_agent if self.api_key_id is not None and self.user_id is None else None

    def require(self, permission: Permission) -> None:
        if permission not in self.permissions:
            raise Forbidden(f"this needs the permission {permission.value}", permission=permission.value)


def worker_actor(tenant_id: UUID, source_agent: str = DEFAULT_SOURCE_AGENT, request_id: str | None = None) -> Actor:
    """The actor of background work: it carries no permission, since nobody outside can become it."""
    return Actor(tenant_id=tenant_id, name="sortation", source_agent=source_agent, request_id=request_id)


def one_line(name: str, most: int = MAX_PERSON_NAME) -> str:
    """A name without line breaks and what else could make a text look like another, of at most so many characters."""
    return " ".join("".join(" " if _breaks(c) else c for c in name).split())[:most].strip()


def check_person_name(name: str) -> str:
    """Without spaces around it; may be empty. Raises `Invalid`."""
    name = name.strip()
    _check_characters(name)
    if len(name) > MAX_PERSON_NAME:
        raise Invalid(f"a person's name has at most {MAX_PERSON_NAME} characters")
    return name


def _check_characters(name: str) -> None:
    if any(map(_breaks, name)):
        raise Invalid("a name has no control characters and no line breaks")


def _breaks(character: str) -> bool:
    return unicodedata.category(character) in _CONTROL or character in _REORDERING


def check_tenant(name: str, time_zone: str) -> None:
    """Raises `Invalid` for an empty name, one with line breaks, or an unknown time zone."""
    _check_characters(name.strip())
    if not 0 < len(name.strip()) <= 200:
        raise Invalid("a tenant's name has 1 to 200 characters")
    if time_zone not in available_timezones():
        raise Invalid(f"{time_zone!r} is not an IANA time zone such as Europe/Berlin")


def check_settings(settings: TenantSettings) -> TenantSettings:
    for name in ("promise", "similarity_threshold", "llm_threshold", "spot_check_share"):
        value = getattr(settings, name)
        if value is not None and not 0 <= value <= 1:
            raise Invalid(f"{name} lies between 0 and 1")
    if unknown := set(settings.alone) - set(STAGES):
        raise Invalid(f"alone names stages: {min(unknown)!r} is none of {', '.join(STAGES)}")
    for name in ("payload_retention_days", "record_retention_days", "log_retention_days"):
        days = getattr(settings, name)
        if days is not None and not 1 <= days <= MOST_DAYS:
            raise Invalid(f"{name} lies between 1 and {MOST_DAYS}")
    if settings.queue_limit is not None and not 1 <= settings.queue_limit <= MOST_QUEUED:
        raise Invalid(f"queue_limit lies between 1 and {MOST_QUEUED}")
    if len(settings.default_currency) != 3 or not settings.default_currency.isupper():
        raise Invalid("default_currency is an ISO 4217 code such as EUR")
    return replace(settings, llm_monthly_cap=_check_cap(settings.llm_monthly_cap))


def _check_cap(cap: Decimal | None) -> Decimal | None:
    if cap is None:
        return None
    if not cap.is_finite() or not 0 <= cap < MAX_CAP:
        raise Invalid(f"llm_monthly_cap lies between 0 and {MAX_CAP:f} US dollars")
    exponent = cap.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > CAP_DECIMALS:
        raise Invalid(f"llm_monthly_cap has at most {CAP_DECIMALS} decimals")
    return Decimal(format(cap, "f"))  # never as 1E+2


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key of a tenant. The secret itself is shown once and not kept; `secret_hash` is its SHA-256."""

    id: UUID
    tenant_id: UUID
    key_id: str
    name: str
    secret_hash: bytes = field(repr=False)
    scopes: frozenset[Permission]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    operators: bool = False
    """Whether the operator acts by it: then that is who the log names."""
    created_by: UUID | None = None
    """The person who made it, also by another key of theirs; None for the operator and for keys of before."""

    def usable(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def check_scopes(scopes: frozenset[str]) -> frozenset[Permission]:
    """Raises `Invalid` for a scope that no key may carry."""
    unknown = sorted(s for s in scopes if s not in {p.value for p in GRANTABLE})
    if unknown or not scopes:
        raise Invalid(
            f"unknown scopes: {', '.join(unknown) or '(none given)'}", known=sorted(p.value for p in GRANTABLE)
        )
    return frozenset(Permission(s) for s in scopes)


def settings_from(stored: Mapping[str, Any]) -> TenantSettings:
    cap = stored.get("llm_monthly_cap")
    typed = {
        "alone": tuple(stored.get("alone", STAGES)),
        "trusted_packs": tuple(stored.get("trusted_packs", ())),
        "llm_monthly_cap": None if cap is None else Decimal(cap),
    }
    return TenantSettings(**{**stored, **typed})
