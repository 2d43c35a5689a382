"""Ordering questions by what their answers teach."""
