"""The HTTP API: parse, one use case, answer."""
