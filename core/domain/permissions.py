"""Who may do what: the one table that decides it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Permission(StrEnum):
    TENANT_READ = "tenant:read"
    TENANT_WRITE = "tenant:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    CATEGORIES_READ = "categories:read"
    CATEGORIES_WRITE = "categories:write"
    CONNECTIONS_READ = "connections:read"
    CONNECTIONS_WRITE = "connections:write"
    RECORDS_READ = "records:read"
    RECORDS_WRITE = "records:write"
    RECEIPTS_READ = "receipts:read"
    RECEIPTS_WRITE = "receipts:write"
    RULES_READ = "rules:read"
    RULES_WRITE = "rules:write"
    APPROVALS_READ = "approvals:read"
    APPROVALS_DECIDE = "approvals:decide"
    REPORTS_READ = "reports:read"
    REPORTS_RUN = "reports:run"
    """To have one made; what it tells is read by `reports:read`."""
    REPORTS_WRITE = "reports:write"
    """To define them, and when they are made."""
    EVENTS_READ = "events:read"
    JOBS_READ = "jobs:read"
    JOBS_REPLAY = "jobs:replay"
    BILLING_READ = "billing:read"
    BILLING_WRITE = "billing:write"
    NOTIFICATIONS_READ = "notifications:read"
    NOTIFICATIONS_WRITE = "notifications:write"
    OPERATOR = "operator"
    """The operator of the installation: tenants, and events of all of them. No role and no API key carries it."""


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    REVIEWER = "reviewer"
    VIEWER = "viewer"


_OF_FEW = frozenset({Permission.KEYS_READ, Permission.BILLING_READ, Permission.NOTIFICATIONS_READ})
"""Addresses of webhooks are often secrets in themselves."""
_READ = frozenset(p for p in Permission if p.value.endswith(":read") and p not in _OF_FEW)
_EVERYTHING = frozenset(Permission) - {Permission.OPERATOR}

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.OWNER: _EVERYTHING,
        Role.ADMIN: _EVERYTHING - {Permission.TENANT_WRITE, Permission.BILLING_WRITE},
        Role.REVIEWER: _READ
        | {Permission.APPROVALS_DECIDE, Permission.RECORDS_WRITE, Permission.RECEIPTS_WRITE, Permission.REPORTS_RUN},
        Role.VIEWER: _READ,
    }
)

GRANTABLE = _EVERYTHING
"""The scopes that an API key may carry."""

PAID_FOR = frozenset(
    {
        Permission.CATEGORIES_WRITE,
        Permission.CONNECTIONS_WRITE,
        Permission.RECORDS_WRITE,
        Permission.RECEIPTS_WRITE,
        Permission.RULES_WRITE,
        Permission.APPROVALS_DECIDE,
        Permission.JOBS_REPLAY,
    }
)
"""What nobody may do in a tenant that is read-only. Its people, keys and payments stay in its hands, and its end."""
