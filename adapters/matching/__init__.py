"""Matching rules against records: RE2, the reference evaluator, and the compiled matcher that equals it."""
