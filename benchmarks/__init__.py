"""Speed, side by side with a peer or the naive way, in one run: `python -m benchmarks.NAME [--json]`."""
