"""Use cases with their ports, by what belongs together: the parts of the container."""
