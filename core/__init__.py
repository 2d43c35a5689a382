"""The heart of Sortation: pure Python, the standard library and nothing else."""
