"""The words of the domain, a file each: frozen dataclasses and pure functions."""
