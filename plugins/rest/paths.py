"""What a declaration says of where a value stands: a JSONPath (RFC 9535), or the value itself."""

from __future__ import annotations

from typing import Any

from jsonpath_rfc9535 import JSONPathError, compile

from core.errors import ConfigInvalid


class Path:
    """A JSONPath; `place` says in errors which of a declaration it is. Raises `ConfigInvalid` for what is none."""

    def __init__(self, text: str, place: str) -> None:
        self.text = text
        try:
            self._query = compile(text)
        except (JSONPathError, RecursionError) as error:
            raise ConfigInvalid(f"{place}: {text!r} is no JSONPath: {error}") from error
        self.singular = self._query.singular_query()
        """Whether it leads to one place at most, so that nothing found means that the place is missing."""

    def all(self, value: Any) -> list[Any]:
        found: list[Any] = self._query.find(value).values()
        return found

    def first(self, value: Any) -> Any:
        """None where there is nothing, as where there is a null."""
        found = self.all(value)
        return found[0] if found else None


class Source:
    """Where a field comes from: a text that begins with `$` is a JSONPath into the object, any other stands for
    itself."""

    def __init__(self, text: str, place: str) -> None:
        self._path = Path(text, place) if text.startswith("$") else None
        self.constant = "" if self._path else text

    def of(self, item: Any) -> Any:
        return self.constant if self._path is None else self._path.first(item)


class Condition:
    """`{"path": ..., "equals": [...]}`: holds where the value is one of these; without `equals`, where there is one
    and it is not false, zero or empty."""

    def __init__(self, given: dict[str, Any], place: str) -> None:
        self._path = Path(given["path"], f"{place}.path")
        self._equals: list[Any] | None = given.get("equals")

    def holds(self, item: Any) -> bool:
        value = self._path.first(item)
        return bool(value) if self._equals is None else any(_same(value, one) for one in self._equals)


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
