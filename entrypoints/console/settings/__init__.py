"""Settings: what an admin or owner arranges for the workspace, each section a page of its own."""

from __future__ import annotations

from entrypoints.console.settings import first, members

PAGES = (first, members)
