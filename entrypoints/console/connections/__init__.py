"""Connections, for people: what there is to connect, how each is, and what to do about it."""
