"""Records as numbers: hashed n-grams and crosses for the classifier, 64-bit keys for the memory.

A text has three forms: whole, without numbers and what companies are called by, and its first word. Each is crossed
with each context field, so that "this shop on this card" can mean something else than the shop alone. Nothing is
fitted: equal records have equal numbers in every process and release.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from core.domain.records import Sortable, normalise, similarity_text

BITS = 18
DIMENSIONS = 1 << BITS
"""Of the hashed space. 2^18 costs nothing where it is not touched, and few of 10^5 features meet in it."""
MAX_FIELDS = 4
TEXT_KEYS, SIZE_KEY = 2, 2
"""The first keys of the memory are those of the text alone: as it is, and without numbers; next is that of the amount's
size, which nearly all records share with others."""
_CACHED_TEXTS = 100_000
_CACHED_WORDS, _LONG = 20_000, 40
"""Of all tenants together, none longer than so many characters: some tens of megabytes at most."""
_CACHED_FORMS = 5_000
"""Whole texts of all tenants together, which may be thousands of characters long."""
_GRAM, _TERM = zlib.crc32(b"c"), zlib.crc32(b"w")
"""What checksums begin with, so that a word is another thing than a gram of the same characters."""
_NOTHING = np.empty(0, np.int64)
_REPEATED = 0.3
"""Share of a field's values that come more than once."""
_CROSS_WEIGHT = 0.35
"""Of a cross, beside blocks of n-grams of length 1: measured best of 0.25 to 0.5 on card purchases."""
_NOT_WORDS = re.compile(r"[^\w&' ]+|\d+")
_HOUSE_WORDS = re.compile(r"\b(ltd|limited|plc|inc|llc|gmbh|ag|kg|sa|sarl|srl|bv|www|com|co|uk|de|org|stores?|the)\b")
_AGENTS = re.compile(r"^(paypal|sumup|izettle|zettle|iz|sq|pp|wp|stripe|klarna)[ *]+")

_ATTRIBUTE = "attributes."
_OWN_FIELDS = ("account", "counterparty", "kind", "currency")
_SHORT = 120
"""Characters of an attribute that may be a context."""

Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Context = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Features:
    """Of n records: `grams` (n, DIMENSIONS) sparse; `keys` (n, len(names)) of the memory; `amounts` (n), 0 for none."""

    grams: Any
    keys: Keys
    amounts: npt.NDArray[np.float64]


class _Text(NamedTuple):
    indices: npt.NDArray[np.int32]
    values: Floats
    whole: int
    plain: int
    first: int


def context_of(record: Sortable) -> dict[str, str]:
    """What else a record says, by field: its short attributes, account, counterparty, kind and currency."""
    names = [*(f"{_ATTRIBUTE}{name}" for name in record.attributes), *_OWN_FIELDS]
    return {name: value for name in names if (value := _said(record, name)) is not None}


def _said(record: Sortable, name: str) -> str | None:
    """What the record says in a field, where it says something that is short."""
    if not name.startswith(_ATTRIBUTE):
        value = getattr(record, name)
        return str(value) if value else None
    value = record.attributes.get(name[len(_ATTRIBUTE) :])
    if not isinstance(value, str | int | bool):
        return None
    return found if len(found := str(value)) <= _SHORT else None


def telling_fields(contexts: Sequence[Context]) -> tuple[str, ...]:
    """The context fields worth crossing: those that most records have, that vary, and whose values come again; at most
    MAX_FIELDS, by name. Numbers that are never the same twice tell nothing of the next record."""
    counts: dict[str, Counter[str]] = {}
    for context in contexts:
        for name, value in context.items():
            counts.setdefault(name, Counter())[value] += 1
    telling = {}
    for name, values in counts.items():
        present = values.total()
        repeated = sum(count for count in values.values() if count > 1) / present
        if present >= len(contexts) / 2 and len(values) > 1 and repeated >= _REPEATED:
            telling[name] = repeated
    best = sorted(telling, key=lambda name: (-telling[name], name))[:MAX_FIELDS]
    return tuple(sorted(best))


def plain_form(text: str) -> str:
    """A normalised text without numbers, payment agents and legal forms: `shell 0417` and `shell 0391` are one."""
    return _without_legal_forms(_NOT_WORDS.sub(" ", _AGENTS.sub("", text)))


@lru_cache(_CACHED_FORMS)
def _without_legal_forms(wordy: str) -> str:
    """Texts that differ in numbers alone have this in common."""
    return " ".join(_HOUSE_WORDS.sub(" ", wordy).split())


class FeatureSpace:
    """Makes features of records; `fields` are the context fields that it crosses. May be shared by threads."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        pairs = list(combinations(self.fields, 2))
        singles = [(f,) for f in self.fields]
        self.names: tuple[tuple[str, ...], ...] = (
            *[("whole",), ("plain",), ("size",), ("whole", "amount")],
            *singles,
            *[(form, f) for form in ("whole", "plain", "first") for f in self.fields],
        )
        """What the memory remembers labels by."""
        self._crosses: tuple[tuple[str, ...], ...] = (
            *self.names,
            *pairs,
            *[("whole", *pair) for pair in pairs],
            ("whole", "size"),
            *[(form, "size", f) for form in ("whole", "plain") for f in self.fields],
            *[("size", *pair) for pair in pairs],
        )
        self._seeds = {name: _hash64("|".join(name)) for name in self._crosses}
        self._texts: dict[str, _Text] = {}
        self._values: dict[tuple[str, str], int] = {}

    def of(self, records: Sequence[Sortable]) -> Features:
        texts = self._texts_of([similarity_text(r.text, r.counterparty) for r in records])
        parts: dict[str, Keys] = {
            "whole": np.array([t.whole for t in texts], np.uint64),
            "plain": np.array([t.plain for t in texts], np.uint64),
            "first": np.array([t.first for t in texts], np.uint64),
        }
        for name in self.fields:
            parts[name] = np.array([self._value(name, _said(r, name) or "") for r in records], np.uint64)
        amounts = np.array([float(r.amount or 0) for r in records])
        parts["amount"] = np.round(np.clip(amounts, -1e12, 1e12) * 100).astype(np.int64).astype(np.uint64)
        size = np.round(np.log2(np.abs(amounts) + 1)) * np.sign(amounts)
        parts["size"] = size.astype(np.int64).astype(np.uint64)
        crossed = {name: _cross(self._seeds[name], [parts[part] for part in name]) for name in self._crosses}
        hashed = np.stack([crossed[name] for name in self._crosses], 1) & np.uint64(DIMENSIONS - 1)
        return Features(
            grams=_grams(texts, hashed.astype(np.int32)),
            keys=np.stack([crossed[name] for name in self.names], 1),
            amounts=amounts,
        )

    def _value(self, field: str, value: str) -> int:
        found = self._values.get((field, value))
        if found is None:
            if len(self._values) >= _CACHED_TEXTS:
                self._values.clear()
            found = self._values[field, value] = _hash64(f"{field}={normalise(value)}")
        return found

    def _texts_of(self, texts: Sequence[str]) -> list[_Text]:
        found = {text: self._texts.get(text) for text in texts}
        new = [text for text, known in found.items() if known is None]
        made = dict(zip(new, _texts_of([normalise(text) for text in new]), strict=True)) if new else {}
        if len(self._texts) + len(made) > _CACHED_TEXTS:
            self._texts.clear()
        self._texts |= made
        return [found[text] or made[text] for text in texts]


def _texts_of(texts: Sequence[str]) -> list[_Text]:
    """Character 2- to 4-grams within words, and words and their pairs: two blocks of length 1, by sublinear counts.
    What is made of a text does not depend on the others."""
    words = [[_word_of(word) if len(word) <= _LONG else _word(word) for word in text.split()] for text in texts]
    grams = [word.grams for of_text in words for word in of_text]
    terms = [[*[word.whole for word in of_text], *_pairs_of(of_text)] for of_text in words]
    places = np.arange(len(texts)) << 33
    keys = np.concatenate([
        _repeated(_repeated(places, words), grams) + np.concatenate([_NOTHING, *grams]),
        _repeated(places, terms) + (1 << 32) + np.array(list(chain.from_iterable(terms)), np.int64),
    ])  # fmt: skip
    distinct, counts = np.unique(keys, return_counts=True)
    weights = 1 + np.log(counts)
    block = distinct >> 32
    lengths = np.sqrt(np.bincount(block, weights * weights))
    values = (weights / lengths[block]).astype(np.float32)
    indices = (distinct & (DIMENSIONS - 1)).astype(np.int32)
    ends = np.cumsum(np.bincount(block >> 1, minlength=len(texts))).tolist()
    return [
        _Text(indices[start:end], values[start:end], _hash64("whole=" + text), *_keys_of(plain_form(text) or text))
        for text, start, end in zip(texts, [0, *ends], ends, strict=False)
    ]


class _Word(NamedTuple):
    """Checksums, of which an index is made: of the word's grams, and of itself."""

    grams: npt.NDArray[np.int64]
    whole: int
    text: bytes


@lru_cache(_CACHED_WORDS)
def _word_of(word: str) -> _Word:
    """Words come again and again, in texts that never do."""
    return _word(word)


def _word(word: str) -> _Word:
    edged = f" {word} "
    grams = [edged[i : i + size].encode() for size in (2, 3, 4) for i in range(len(edged) - size + 1)]
    text = word.encode()
    return _Word(np.array([zlib.crc32(gram, _GRAM) for gram in grams], np.int64), zlib.crc32(text, _TERM), text)


def _repeated(places: npt.NDArray[np.int64], of_each: Sequence[Sized]) -> npt.NDArray[np.int64]:
    """Each place as often as there are things of it."""
    return np.repeat(places, np.array([len(things) for things in of_each], np.int64))


def _pairs_of(words: Sequence[_Word]) -> list[int]:
    return [zlib.crc32(b" " + second.text, first.whole) for first, second in pairwise(words)]


@lru_cache(_CACHED_FORMS)
def _keys_of(plain: str) -> tuple[int, int]:
    """Of a plain form, and of its first word."""
    return _hash64("plain=" + plain), _hash64("first=" + plain.partition(" ")[0])


def _grams(texts: Sequence[_Text], crossed: npt.NDArray[np.int32]) -> Any:
    """A row each: what its text has, then the crosses. An index may stand in a row twice: the values add up."""
    width = crossed.shape[1]
    lengths = np.array([len(t.indices) + width for t in texts], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    is_cross = np.repeat(starts[1:], lengths) - np.arange(starts[-1]) <= width
    indices = np.empty(starts[-1], np.int32)
    indices[is_cross] = crossed.ravel()
    indices[~is_cross] = np.concatenate([np.empty(0, np.int32), *[t.indices for t in texts]])
    values = np.full(starts[-1], _CROSS_WEIGHT, np.float32)
    values[~is_cross] = np.concatenate([np.empty(0, np.float32), *[t.values for t in texts]])
    return sparse.csr_matrix((values, indices, starts), shape=(len(texts), DIMENSIONS))


def _hash64(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _cross(seed: int, parts: Sequence[Keys]) -> Keys:
    """Hashes that differ where any part does; splitmix64's finaliser (Steele, Lea, Flood 2014) after each."""
    mixed = np.full(len(parts[0]), seed, np.uint64)
    for part in parts:
        mixed = (mixed ^ part) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed
