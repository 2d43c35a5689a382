"""Each use case with its ports, by their names: what the container is made of."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any, TypeVar

from dependency_injector import providers

from entrypoints.parts import Parts

Result = TypeVar("Result")
_PORTS = (
    "agreements",
    "billing",
    "broker",
    "clock",
    "codes",
    "embedder",
    "files",
    "hasher",
    "host",
    "identities",
    "ids",
    "inventory",
    "kept",
    "learner",
    "llm",
    "llm_model",
    "mailer",
    "matcher",
    "notifications",
    "origins",
    "payments",
    "people",
    "privacy",
    "ranker",
    "reader",
    "renewals",
    "secrets",
    "sender",
    "sniffer",
    "system",
    "terms",
    "trials",
    "uow",
    "writers",
)
_SETTINGS = Parts.settings.provided
BY_NAME: dict[str, providers.Provider[Any]] = {
    **{name: getattr(Parts, name) for name in _PORTS},
    "backoff_seconds": _SETTINGS.job_backoff_seconds,
    "clients": Parts.http_clients,
    "event_delay": _SETTINGS.payment_delay_seconds,
    "homes": Parts.vector_homes,
    "idle_seconds": _SETTINGS.session_idle_seconds,
    "job_days": _SETTINGS.job_retention_days,
    "lasts_seconds": _SETTINGS.session_seconds,
    "learn_delay": _SETTINGS.learn_delay,
    "lease_seconds": _SETTINGS.lease_seconds,
    "max_attempts": _SETTINGS.job_max_attempts,
    "max_receipt_bytes": _SETTINGS.max_receipt_bytes,
    "max_records": _SETTINGS.sync_records,
    "max_seconds": _SETTINGS.sync_seconds,
    "payload_days": _SETTINGS.payload_retention_days,
    "provider": Parts.oauth_provider,
    "public_url": _SETTINGS.public_url,
    "report_days": _SETTINGS.report_retention_days,
    "refit_delay": _SETTINGS.refit_delay_seconds,
    "republish_after": _SETTINGS.republish_after_seconds,
    "share": _SETTINGS.tenant_share,
    "sync_share": _SETTINGS.tenant_sync_share,
    "text": Parts.rule_text,
}
"""What use cases call the ports and settings that they take, wherever they take them."""


def bound(usecase: Callable[..., Result], **others: providers.Provider[Any]) -> providers.Callable[Result]:
    """The use case with all that it takes by such a name; `others` are taken by a name that means more than one."""
    taken = signature(usecase).parameters.values()
    ports = {p.name: BY_NAME[p.name] for p in taken if p.kind is Parameter.KEYWORD_ONLY and p.name in BY_NAME}
    return providers.Callable(usecase, **ports, **others)
