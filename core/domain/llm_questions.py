"""What the LLM is offered and shown: for each record alone, and for the records of one call together."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TypeVar

from core.domain.llm import LlmCategory, LlmExample, LlmQuestion, LlmRequest
from core.domain.records import Sortable, normalise

WHOLE_TREE = 100
"""Up to so many categories, all are offered; so many at most share a call when there are more. The tree that tenants
start with (85) is offered whole: the names are English, and to a text in another language similarity finds them by
chance (`MIETE WOHNUNG` has 53 categories nearer than rent)."""
OFFERED_EACH = 20
"""Categories that a record is offered out of a larger tree. On CLINC150, the right one of 150 is among the 20 most
similar ones of 98 % of the texts, by its name alone."""
NEIGHBOURS = 8
"""Examples of a record's own."""
RELATED = 0.5
"""The cosine from which an approved example has something to say of a record. Below it, texts of MiniLM have no more
in common than any two of the same bank."""
MAX_EXAMPLES = 36
"""In one call, all records together."""
TOGETHER = 20
"""Contents that a job asks about: few enough for a small model to keep apart."""
MOST_TOGETHER = 500
"""Records that a job asks about, however alike."""
S = TypeVar("S", bound=Sortable)


def content_of(record: Sortable) -> tuple[str, str, str]:
    """What two records have in common that are asked about once, but for what masking makes equal."""
    amount = record.amount
    scale = "" if not amount else f"{'-' if amount < 0 else '+'}{amount.adjusted()} {record.currency}"
    return normalise(record.text), normalise(record.counterparty), scale


def batches(records: Iterable[S]) -> Iterator[list[S]]:
    """The records, equal contents together: spread over jobs that run at once, each would ask about them anew."""
    batch: list[S] = []
    contents: set[tuple[str, str, str]] = set()
    for content, record in sorted(((content_of(r), r) for r in records), key=lambda pair: (pair[0], pair[1].id)):
        if len(batch) == MOST_TOGETHER or (content not in contents and len(contents) == TOGETHER):
            yield batch
            batch, contents = [], set()
        batch.append(record)
        contents.add(content)
    if batch:
        yield batch


def category_text(category: LlmCategory) -> str:
    """What of a category is embedded, to compare records with."""
    return f"{category.path}: {category.description}" if category.description else category.path


def offered(
    tree: Sequence[LlmCategory],
    hinted: Iterable[str],
    vector: Sequence[float] | None,
    vectors: Mapping[str, Sequence[float]],
) -> tuple[LlmCategory, ...]:
    """What a record is offered of the tree, in its order.

    All of a tree that is small, or of which nothing can be told (no vectors). Else `OFFERED_EACH`: first those
    `hinted` at (keys, the strongest first), then those whose vectors (by key) are most similar to the record's.
    """
    if len(tree) <= WHOLE_TREE or vector is None:
        return tuple(tree)
    there = {category.key for category in tree}
    similar = sorted(vectors, key=lambda key: -_dot(vectors[key], vector))
    chosen = set([key for key in dict.fromkeys([*hinted, *similar]) if key in there][:OFFERED_EACH])
    return tuple(category for category in tree if category.key in chosen)


def grouped(questions: Sequence[LlmQuestion]) -> list[list[LlmQuestion]]:
    """The questions by call: together as long as what they are offered together stays small.

    Those that are offered like things stand next to each other, so that they share calls.
    """
    groups: list[list[LlmQuestion]] = []
    union: set[str] = set()
    for question in sorted(questions, key=lambda q: [c.path for c in q.categories]):
        own = {category.key for category in question.categories}
        if groups and (own <= union or len(union | own) <= WHOLE_TREE):
            groups[-1].append(question)
            union |= own
        else:
            groups.append([question])
            union = own
    return groups


def merged(questions: Sequence[LlmQuestion]) -> LlmRequest:
    """One request for all: everything that one of them is offered, and the nearest examples of each, then their next
    ones, without repetition, `MAX_EXAMPLES` at most."""
    categories = {category.key: category for question in questions for category in question.categories}
    in_turn = (e for rank in zip_longest(*(q.examples for q in questions)) for e in rank if e is not None)
    examples: dict[tuple[str, str], LlmExample] = {}
    for example in in_turn:
        if example.category_key in categories:
            examples.setdefault((normalise(example.text), example.category_key), example)
    return LlmRequest(
        records=tuple(question.record for question in questions),
        categories=tuple(sorted(categories.values(), key=lambda c: (c.path, c.key))),
        examples=tuple(examples.values())[:MAX_EXAMPLES],
    )


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum(map(operator.mul, one, other)))
