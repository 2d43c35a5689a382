"""Secrets, sealed before they are stored."""
