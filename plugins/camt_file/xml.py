"""XML from strangers, an element at a time and within bounds.

Straight on expat: what parses whole documents (lxml, defusedxml, pycamt) holds a statement of 100 MB ten times over in
memory, and a document type, which all attacks by entities need, can be refused here before anything of it is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO
from xml.parsers import expat

from core.errors import UnreadableFile

MAX_DEPTH = 64
MAX_NODES = 400_000
"""Of one entry: a collective booking of some 5,000 payments, which takes some 100 MB."""
MAX_TEXT = 16 << 20
MAX_LEAVES = 500
MAX_TOKEN = 1 << 20
"""Bytes of one tag or comment, which expat must hold as a whole."""
_CHUNK = 1 << 16


class Node:
    """An element by its local name, so that every version of a message reads the same."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[Node] = []
        self.text = ""

    def all(self, path: str) -> list[Node]:
        """Every element at `path`, such as `RmtInf/Ustrd`."""
        nodes = [self]
        for name in path.split("/"):
            nodes = [child for node in nodes for child in node.children if child.name == name]
        return nodes

    def at(self, path: str) -> Node | None:
        return next(iter(self.all(path)), None)

    def value(self, *paths: str) -> str:
        """The text of the first of `paths` that has any."""
        return next((text for path in paths for node in self.all(path) if (text := node.text.strip())), "")

    def leaves(self, without: str = "") -> dict[str, str]:
        """Path → text of the first `MAX_LEAVES` below that hold text; the second of a path is numbered. `without`: a
        child that is left out."""
        found: dict[str, str] = {}
        seen: Counter[str] = Counter()
        waiting = [(child.name, child) for child in reversed(self.children) if child.name != without]
        while waiting and len(found) < MAX_LEAVES:
            path, node = waiting.pop()
            waiting.extend((f"{path}/{child.name}", child) for child in reversed(node.children))
            if text := node.text.strip():
                seen[path] += 1
                key = path if seen[path] == 1 else f"{path}[{seen[path]}]"
                found[key] = text
                found.update({f"{key}@{name}": value for name, value in node.attributes.items()})
        return found


def check(file: BinaryIO) -> None:
    """Reads all of `file` once, so that a broken one is known as such before anything of it is used."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    for _ in _fed(parser, file):
        pass


def parts(file: BinaryIO, wholes: frozenset[str]) -> Iterator[Node | str]:
    """For each element called one of `wholes`: its name, then its children, each complete, then "" at its end.

    All else is skipped. Raises `UnreadableFile` for what is no XML, has a document type, or breaks a bound.
    """
    builder = _Builder(wholes)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    for _ in _fed(parser, file):
        yield from builder.found
        builder.found.clear()


def _fed(parser: expat.XMLParserType, file: BinaryIO) -> Iterator[None]:
    file.seek(0)
    fed = 0
    try:
        while chunk := file.read(_CHUNK):
            parser.Parse(chunk, False)
            fed += len(chunk)
            if fed - parser.CurrentByteIndex > MAX_TOKEN:
                raise UnreadableFile(f"line {parser.CurrentLineNumber} has a tag longer than {MAX_TOKEN >> 20} MiB")
            yield
        parser.Parse(b"", True)
        yield
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code) or "not well-formed"
        raise UnreadableFile(f"the file breaks the rules of XML at line {error.lineno}: {reason}") from error
    except (ValueError, LookupError) as error:  # encodings that Python doesn't know, or not as expat needs them
        raise UnreadableFile(f"the encoding that the file declares can't be read: {error}") from error


def _refuse(*_: object) -> None:
    raise UnreadableFile("the file declares a document type (DOCTYPE), which no bank's statement has")


class _Builder:
    def __init__(self, wholes: frozenset[str]) -> None:
        self.found: list[Node | str] = []
        self._wholes = wholes
        self._depth = 0
        self._whole_at = 0
        self._open: list[Node] = []
        self._nodes = self._size = 0
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableFile(f"the file nests elements more than {MAX_DEPTH} deep")
        local = name.rpartition(" ")[2]
        if not self._whole_at:
            if local in self._wholes:
                self._whole_at = self._depth
                self.found.append(local)
            return
        node = Node(local, attributes)
        if self._open:
            self._keep_text()
            self._open[-1].children.append(node)
            self._nodes += 1
            if self._nodes > MAX_NODES:
                raise UnreadableFile(f"one {self._open[0].name} has more than {MAX_NODES:,} elements")
        else:
            self._nodes = self._size = 0
        self._open.append(node)

    def end(self, _: str) -> None:
        if self._open:
            self._keep_text()
            node = self._open.pop()
            if not self._open:
                self.found.append(node)
        elif self._depth == self._whole_at:
            self._whole_at = 0
            self.found.append("")
        self._depth -= 1

    def characters(self, text: str) -> None:
        if self._open:
            self._size += len(text)
            if self._size > MAX_TEXT:
                raise UnreadableFile(f"one {self._open[0].name} has more than {MAX_TEXT >> 20} MiB of text")
            self._text.append(text)

    def _keep_text(self) -> None:
        if self._text:
            self._open[-1].text += "".join(self._text)
            self._text.clear()
