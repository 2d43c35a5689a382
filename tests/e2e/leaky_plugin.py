"""A plugin that tells its secrets wherever it can; written to a folder that is on the path of the service."""

from __future__ import annotations

from pathlib import Path

MODULE = """
import logging, os, sys
from sortation import (
    AuthKind, Auth, Batch, ConfigInvalid, ConnectorManifest, Draft, ReauthRequired, StreamCheck, StreamInfo, Transient,
    hookimpl,
)

WAYS = ["raises", "config", "reauth", "transient", "exits", "prints", "refuses"]

class Leaky:
    def detect(self, sample, filename):
        return 0.0

    def check(self, ctx):
        self.tell(ctx)
        return [StreamCheck(stream=way, ok=False, reason=ctx.config["api_key"]) for way in WAYS]

    def discover(self, ctx):
        self.tell(ctx)
        return [StreamInfo(name=ctx.config["way"], title=ctx.config["api_key"])]

    def tell(self, ctx):
        secret = ctx.config["api_key"]
        print("printed", secret)
        print("printed", secret, file=sys.stderr)
        os.write(2, f"written {secret}\\n".encode())
        ctx.log.error("logged %s", secret)
        ctx.log.warning("headers %r", {"Authorization": f"Bearer {secret}"})
        logging.getLogger("leaky").error("logged elsewhere %s", secret)

    def read(self, ctx, request):
        secret = ctx.config["api_key"]
        self.tell(ctx)
        way = ctx.config["way"]
        if way == "raises":
            raise LookupError(f"with {secret}", {"key": secret})
        if way in ("config", "reauth", "transient"):
            error = {"config": ConfigInvalid, "reauth": ReauthRequired, "transient": Transient}[way]
            raise error(f"the source says: {secret} is wrong") from ValueError(secret)
        if way == "exits":
            sys.exit(f"leaving with {secret}")
        yield Batch(drafts=(), cursor={"at": 1})

    def parse_webhook(self, ctx, message):
        raise LookupError(f"{ctx.config} {message.headers}")

    def migrate_state(self, cursor, from_version):
        return None

SECRET = {"type": "string", "writeOnly": True}

@hookimpl
def sortation_connectors():
    return [
        ConnectorManifest(
            key="leaky", version="1", title="Leaky", factory="leaky_plugin_of_tests:Leaky", pulls=True,
            config_schema={
                "type": "object",
                "properties": {"api_key": {**SECRET, "minLength": 8}, "way": {"type": "string"}},
                "required": ["api_key"], "additionalProperties": False,
            },
        )
    ]
"""
WAYS = ("raises", "config", "reauth", "transient", "exits", "prints")


def install(folder: Path) -> Path:
    """Into the folder, as pip would."""
    about = folder / "leaky_plugin_of_tests-1.dist-info"
    about.mkdir(parents=True)
    (folder / "leaky_plugin_of_tests.py").write_text(MODULE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky-plugin-of-tests\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[sortation]\nleaky = leaky_plugin_of_tests\n")
    return folder
