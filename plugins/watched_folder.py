"""A folder on the host, whose files are read once each, as uploads are.

Files are taken in the order of their last change as the file system itself notes it (`ctime`: unlike `mtime` it can't
be set, so a file that is moved or copied here with an old date counts as new), and only some time after it, so that
what is still being written is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import time
from typing import Any

from plugins.files import FILE_FIELDS, SETTLE_SECONDS, STREAM, Seen, check_format, read_files
from sortation import (
    Batch,
    ConfigInvalid,
    Connector,
    ConnectorManifest,
    Context,
    ReadRequest,
    StreamCheck,
    StreamInfo,
    hookimpl,
)

CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["folder"],
    "properties": {
        "folder": {
            "type": "string",
            "pattern": "^/",
            "description": "Its absolute path, at or under one that the operator allows (SORTATION_FOLDER_ROOTS).",
            "examples": ["/srv/statements/acme"],
        },
        **FILE_FIELDS,
    },
}


class WatchedFolder(Connector):
    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        try:
            check_format(ctx)
            found = _files(ctx)
        except ConfigInvalid as error:
            return [StreamCheck(stream=STREAM, ok=False, reason=str(error))]
        return [StreamCheck(stream=STREAM, ok=True, reason="" if found else "there are no files to read yet")]

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        del ctx
        return [StreamInfo(name=STREAM, title="Files")]

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        folder = Path(ctx.config["folder"])
        return read_files(ctx, request, _files(ctx), lambda name: (folder / name).open("rb"))


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="folder",
            version="1.0.0",
            title="Watched folder",
            factory="plugins.watched_folder:WatchedFolder",
            config_schema=CONFIG_SCHEMA,
            pulls=True,
            folder="folder",
        )
    ]


def _files(ctx: Context) -> list[Seen]:
    """What may be read now. Raises `ConfigInvalid` where there is no such folder."""
    folder = Path(ctx.config["folder"]).resolve()
    settled = (time() - ctx.config.get("settle_seconds", SETTLE_SECONDS)) * 1e9
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise ConfigInvalid(f"the folder can't be read: {error.strerror}") from error
    found: list[Seen] = []
    for path in folder.glob(ctx.config.get("pattern", "**/*")):
        name = str(path.relative_to(folder))
        try:
            if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
                continue
            if not path.resolve().is_relative_to(folder):
                continue  # a link out of the folder
            status = path.stat()
        except OSError:
            continue
        if status.st_ctime_ns <= settled:
            found.append(Seen(status.st_ctime_ns, name))
    return found
