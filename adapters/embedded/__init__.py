"""The servers that Sortation brings along, so that a machine needs nothing else: PostgreSQL and Valkey."""

OWNER_ROLE = "sortation_owner"
"""Owns the database and runs migrations."""
APP_ROLE = "sortation_app"
"""Serves tenants, under row-level security."""
SYSTEM_ROLE = "sortation_system"
"""Relay, scheduler and provider webhooks: only the tables that they need."""
