"""Background work, for people: what waits, what failed for good, and how far it got."""
