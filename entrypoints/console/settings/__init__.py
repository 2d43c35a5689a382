"""Settings: what an admin or owner arranges for the workspace, each section a page of its own."""

from __future__ import annotations

from entrypoints.console.settings import (
    endpoint_acts,
    endpoints,
    invitations,
    key,
    keys,
    member,
    members,
    privacy,
    promise,
    workspace,
)

PAGES = (workspace, promise, members, member, invitations, keys, key, endpoints, endpoint_acts, privacy)
