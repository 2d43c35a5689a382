"""Everything that is stored, in memory: for tests and trials. It behaves as `adapters.postgres` does, and forgets."""
