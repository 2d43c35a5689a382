"""One folder per technology, each implementing ports."""
