"""Reports: what can be asked for, what was made, and what is made by itself."""

from __future__ import annotations

from entrypoints.console.reports import definitions, files, lists, new, runs

PAGES = (lists, new, definitions, runs, files)
