"""What became of each item of a source: a draft, a refusal, or nothing that anybody was told of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from core.domain.plugins import Batch
from core.domain.records import Draft
from sortation.testing.connections import ConnectorSuite
from sortation.testing.source import Item
from sortation.testing.suite import expect, fail

Place = tuple[Any, ...]
"""Where something stands in a JSON document: the keys and positions that lead there."""


def drafts_of(batches: Iterable[Batch]) -> list[Draft]:
    return [draft for batch in batches for draft in batch.drafts]


def ids_of(batches: Iterable[Batch]) -> set[str]:
    return {draft.external_id or "" for draft in drafts_of(batches)}


def refused(batches: Iterable[Batch]) -> str:
    """What a message adds where parts were refused: how many, and why the first was. It is to stand near its beginning,
    since a message is often cut off."""
    refusals = [refusal for batch in batches for refusal in batch.refusals]
    if not refusals:
        return ""
    return f" ({len(refusals)} refused, the first, at {refusals[0].position}: {refusals[0].reason})"


def some(ids: Sequence[str]) -> str:
    """The first of them, and how many others there are."""
    return f"{ids[0]} and {len(ids) - 1} others" if len(ids) > 2 else " and ".join(ids)


def expect_all(suite: ConnectorSuite, items: Sequence[Item], batches: Sequence[Batch], when: str) -> None:
    """That drafts of all items, and of no others, were found."""
    found, wanted = ids_of(batches), _ids(suite, items)
    if missing := sorted(wanted - found):
        fail(f"{when}: lost {len(missing)} of {len(wanted)}{refused(batches)}: {some(missing)}")
    expect(found <= wanted, f"{when}: {some(sorted(found - wanted))} are not in the source")


def expect_found(suite: ConnectorSuite, item: Item, batches: Sequence[Batch], what: str) -> None:
    """That a draft of the item was found; `what` says of which stream it is, and what is special about it."""
    told = f"it is of {item.at}, changed at {item.changed_at}"
    expect(_ids(suite, [item]) <= ids_of(batches), f"{what} is lost{refused(batches)}: {told}")


def expect_accounted(suite: ConnectorSuite, items: Sequence[Item], batches: Sequence[Batch], when: str) -> None:
    """That each item became a draft, be it one of another id, or a refusal."""
    wanted = _ids(suite, items)
    missing = sorted(wanted - ids_of(batches))
    others = {(draft.account, draft.external_id) for draft in drafts_of(batches) if draft.external_id not in wanted}
    told = len(others) + sum(len(batch.refusals) for batch in batches)
    expect(
        len(missing) <= told,
        f"{when}: nothing tells what became of {some(missing)}: refuse what can't be read, or say by "
        f"`of_interest_by` which field leaves it out{refused(batches)}",
    )


def places_of(suite: ConnectorSuite, items: Sequence[Item], document: Any) -> list[Place]:
    """Where in an answer of the source the items stand, one place for each that is found: the largest part that tells
    of that item and of no other."""
    if not isinstance(document, Mapping | list):
        return []
    marks = [{item.id, item.text, *(id for id in _ids(suite, [item]) if len(id) > 5)} for item in items]
    largest: dict[int, tuple[int, Place]] = {}
    for number, place, part in _parts(document, (), marks):
        largest[number] = max(largest.get(number, (0, ())), (len(str(part)), place), key=lambda found: found[0])
    return [place for _, place in largest.values()]


def _parts(value: Any, place: Place, marks: Sequence[Collection[str]]) -> Iterator[tuple[int, Place, Any]]:
    """The items' numbers, and the parts of a list, or of an object with several of them, that tell of one each."""
    children = list(value.items()) if isinstance(value, Mapping) else list(enumerate(value))
    children = [(key, child) for key, child in children if isinstance(child, Mapping | list)]
    several = isinstance(value, list) or len(_told(value, marks)) > 1
    for key, child in children:
        told = _told(child, marks)
        if several and len(told) == 1 and not (isinstance(child, list) and isinstance(value, Mapping)):
            yield told.pop(), (*place, key), child
        elif told:
            yield from _parts(child, (*place, key), marks)


def _told(value: Any, marks: Sequence[Collection[str]]) -> set[int]:
    """The numbers of the items that a part of an answer tells of."""
    if isinstance(value, Mapping | list):
        children = value.values() if isinstance(value, Mapping) else value
        return {number for child in children for number in _told(child, marks)}
    if not isinstance(value, str):
        return set()
    return {number for number, those in enumerate(marks) if any(mark in value for mark in those)}


def _ids(suite: ConnectorSuite, items: Iterable[Item]) -> set[str]:
    return {str(suite.expected(item)["external_id"]) for item in items}
