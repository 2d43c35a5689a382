"""Categories: the tree, and what becomes of one and of all that belongs to it."""

from __future__ import annotations

from entrypoints.console.categories import ends, tree

PAGES = (tree, ends)
