"""The command line: `sortation`."""
