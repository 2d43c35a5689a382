"""Receipts: uploaded, listed, told what they say, and linked to records."""

from __future__ import annotations

from entrypoints.console.receipts import changes, links, lists, one, uploads

PAGES = (lists, uploads, one, changes, links)
