"""Records: the list, one with all that is known of it, and what people do with it."""

from __future__ import annotations

from entrypoints.console.records import changes, facets, lists, many, one, receipts, views

PAGES = (lists, facets, views, one, changes, many, receipts)
