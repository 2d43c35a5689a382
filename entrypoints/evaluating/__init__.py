"""Evaluation: the real pipeline on data whose answers are known, so that users can decide whether to trust it."""
