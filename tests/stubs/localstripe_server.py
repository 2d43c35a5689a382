"""Runs localstripe, a Stripe that others made, until it is stopped: `python -m tests.stubs.localstripe_server`.

It listens on loopback alone, at a free port that it tells on stdout. What it keeps, it would write to disk otherwise.
"""

from __future__ import annotations

import socket
import sys

from aiohttp import web
from localstripe.resources import Store
from localstripe.server import app


def main() -> None:
    Store.dump_to_disk = lambda self: None
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    web.run_app(app, sock=listening, print=None)


if __name__ == "__main__":
    main()
