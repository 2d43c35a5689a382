"""Records: the list, one with all that is known of it, and what people do with it."""

from __future__ import annotations

from entrypoints.console.records import changes, lists, one, views

PAGES = (lists, views, one, changes)
