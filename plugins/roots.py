"""The folders that the operator allows connections to read: on the machine of the workers, or at a URL; for all
tenants, or for one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from core.errors import ConfigInvalid

_OF_ONE = re.compile(r"([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})=(.+)", re.DOTALL)
_NOT_PLAIN = re.compile(r"[\x00-\x20\x7f%?#@\\*\[\]]|::")
"""What libraries read in ways of their own: escapes, queries, names and passwords, patterns, chains of protocols."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """`tenant_id` None: all tenants'."""

    tenant_id: UUID | None
    place: Path | SplitResult


class Roots:
    def __init__(self, entries: Iterable[str | Path] = ()) -> None:
        """Each an absolute path or a URL, with `TENANT-ID=` before it where it is one tenant's. Raises `ValueError`."""
        self._roots = tuple(_root(str(entry)) for entry in entries)

    def folder(self, name: str, tenant_id: UUID | None) -> Path | None:
        """Where the folder that a connection of the tenant names really is; None for a URL. Raises `ConfigInvalid`
        where no root has it, or there is none."""
        places = [root.place for root in self._roots if root.tenant_id in (None, tenant_id)]
        refused = ConfigInvalid(f"the operator allows no connection to read the folder {name!r}")
        if "://" in name:
            try:
                url = _url(name)
            except ValueError as error:
                raise ConfigInvalid(str(error)) from None
            if not any(isinstance(place, SplitResult) and _is_under(url, place) for place in places):
                raise refused
            return None
        path = Path(name)
        real = path.resolve()
        if not path.is_absolute() or not any(isinstance(p, Path) and real.is_relative_to(p) for p in places):
            raise refused
        if not real.is_dir():
            raise ConfigInvalid(f"there is no folder {name!r}")
        return real


def _root(entry: str) -> Root:
    of_one = _OF_ONE.fullmatch(entry)
    tenant_id, name = (UUID(of_one[1]), of_one[2]) if of_one else (None, entry)
    if "://" in name:
        return Root(tenant_id=tenant_id, place=_url(name))
    if not Path(name).is_absolute():
        raise ValueError(f"{name!r} is neither an absolute path nor a URL")
    return Root(tenant_id=tenant_id, place=Path(name).resolve())


def _url(text: str) -> SplitResult:
    """Raises `ValueError` for one that may mean something else to whoever opens it."""
    parts = urlsplit(text)
    if _NOT_PLAIN.search(text) or not parts.netloc or not {"", ".", ".."}.isdisjoint(_segments(parts)):
        raise ValueError(f"{text!r} is no plain URL of a folder: it has a host and names, and nothing else")
    return parts


def _is_under(url: SplitResult, root: SplitResult) -> bool:
    segments, above = _segments(url), _segments(root)
    return (url.scheme, url.netloc) == (root.scheme, root.netloc) and segments[: len(above)] == above


def _segments(url: SplitResult) -> list[str]:
    path = url.path.removesuffix("/")
    return path.split("/")[1:]
