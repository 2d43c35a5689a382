"""Matching rules against records: RE2, and the reference evaluator behind the matcher port."""
