"""How the outside reaches the service: HTTP, command line and worker, wired by one container."""
