"""The pages of billing: what the plan holds and what of it is used, other plans, invoices, and the way to pay."""

from __future__ import annotations

from entrypoints.console.billing import acts, coming_back, invoices, overview, plans

PAGES = (overview, plans, invoices, acts, coming_back)
