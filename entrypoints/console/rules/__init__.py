"""The pages of rules: their order, an editor, what is proposed, where they disagree, and runs over what is stored."""

from __future__ import annotations

from entrypoints.console.rules import conflicts, editing, listing, proposals, runs, trying

PAGES = (listing, editing, trying, conflicts, proposals, runs)
