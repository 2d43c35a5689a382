"""Settings: what is arranged for the workspace, each section a page of its own."""

from __future__ import annotations

from entrypoints.console.settings import first, invitations, key, keys, member, members

PAGES = (first, members, member, invitations, keys, key)
