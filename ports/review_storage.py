"""The repositories of the review queue and of what its answers teach; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from core.domain.approvals import Approval, Example, Group
from core.domain.evidence import AlikeExamples, Likeness
from core.domain.record_filters import RecordFilter
from core.domain.records import Record
from core.domain.similarity import Neighbour


@dataclass(frozen=True, slots=True, kw_only=True)
class Skips:
    """What somebody (a person or an API key, by their id) skipped after `since`: it is left out, or alone is meant."""

    by: UUID
    since: datetime
    only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilter:
    """What open items to list; everything given must hold, as in `ports.storage.RecordFilter`. `unsuggested` are those
    without a suggestion."""

    group_key: str | None = None
    suggested_id: UUID | None = None
    unsuggested: bool = False
    connection_id: UUID | None = None
    account: str | None = None
    kind: str | None = None
    currency: str | None = None
    text: str | None = None
    since: date | None = None
    until: date | None = None
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    skips: Skips | None = None

    @property
    def records(self) -> RecordFilter:
        """What it asks of the items' records."""
        return RecordFilter(**{name: getattr(self, name) for name in _OF_RECORDS})


_OF_RECORDS = tuple(f.name for f in fields(QueueFilter) if f.name in RecordFilter.__slots__)
EVERYTHING = QueueFilter()


class Approvals(Protocol):
    def get_many(self, ids: Sequence[UUID], *, lock: bool = False) -> Sequence[Approval]:
        """In the order of `ids`; raises `NotFound` when one is missing."""
        ...

    def queue(
        self, *, after: tuple[float, UUID] | None, limit: int, where: QueueFilter = EVERYTHING
    ) -> Sequence[tuple[Approval, Record]]:
        """Open items, most urgent first, then oldest; `after` is (urgency, id) of the last one of the page before."""
        ...

    def groups(
        self, *, after: tuple[float, str] | None, limit: int, where: QueueFilter = EVERYTHING
    ) -> Sequence[Group]:
        """Open items in the filter by their `group_key`: the most urgent group (`core.domain.approvals.of_group`)
        first, then by key; `after` is (urgency, key) of the last one of the page before. Locks nothing, and looks at
        all open items."""
        ...

    def sample(self, limit: int) -> Sequence[Group]:
        """Groups as if drawn by lot, and the same ones until they are answered: keys are digests, and these are the
        lowest. Locks nothing, and looks at all open items."""
        ...

    def of_group(self, group_key: str, limit: int, skips: Skips | None = None) -> Sequence[UUID]:
        """The ids of open items of the group, rising."""
        ...

    def decided(
        self, *, withdrawn: bool, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[tuple[Approval, Record]]:
        """Decided items that stand (or those that were `withdrawn`) with their records, the latest decided first, then
        by falling id; `before` is (decided_at, id) of the last one of the page before."""
        ...

    def standing(self, record_ids: Sequence[UUID]) -> Sequence[Approval]:
        """The decided items of these records that nobody withdrew, by id, locked."""
        ...

    def open_of(self, record_ids: Sequence[UUID]) -> Sequence[Approval]:
        """The open items of these records, by id, locked."""
        ...

    def add(self, approvals: Sequence[Approval]) -> None:
        """Raises `Conflict` when a record has an open one."""
        ...

    def decide(self, approvals: Sequence[Approval]) -> None:
        """Writes verdict, category, who, by which agent and when, if all are still open; raises `AlreadyDecided` or
        `NotFound`."""
        ...

    def rank(self, urgencies: Mapping[str, float]) -> None:
        """Gives the open questions of these groups (by `group_key`) new urgencies, but for what somebody holds locked
        just now. Open spot checks then stand where they stood among all questions: each at the share of the way that
        was drawn for it (`core.domain.approvals.place_of`)."""
        ...

    def withdraw(self, ids: Sequence[UUID], *, by: str, at: datetime) -> None:
        """Notes who withdrew these answers and when; raises `Conflict` when one is open or was withdrawn before, and
        `NotFound`."""
        ...

    def sizes(self, group_keys: Sequence[str], skips: Skips | None = None) -> Mapping[str, int]:
        """How many items of each of these groups are open, less what is skipped; a group without any is left out."""
        ...

    def count_open(self, group_key: str | None = None, skips: Skips | None = None) -> int: ...

    def skip(self, id: UUID, *, by: UUID, at: datetime) -> None:
        """Notes that somebody skipped the item; a later time replaces the former. Raises `NotFound`."""
        ...

    def unskip(self, id: UUID, *, by: UUID) -> None:
        """Takes that back, if it was so."""
        ...


class Examples(Protocol):
    def put(self, examples: Sequence[Example]) -> None:
        """Adds examples, without an embedding yet; one of the same record replaces the former, and keeps its id."""
        ...

    def forget(self, record_ids: Sequence[UUID]) -> None:
        """Removes the examples of these records, with what was made of them: they stop teaching."""
        ...

    def list(self, *, after: UUID | None, limit: int) -> Sequence[Example]: ...

    def alike(self, asked: Sequence[Likeness], most: int) -> Sequence[Sequence[AlikeExamples]]:
        """For each, by category, how many examples are like it in each way: of its group or its counterparty, looking
        at the `most` of these that occurred last, and how many of its group have the same text. Locks nothing."""
        ...

    def common(self, latest: int) -> Sequence[UUID]:
        """The categories of the examples that came last, the most frequent first."""
        ...

    def serving(self) -> str | None:
        """The model that a search is to ask by: the first one that any was embedded by, until `serve` names another.
        None while a search could find nothing."""
        ...

    def serve(self, model: str) -> bool:
        """Lets the model serve from the commit on, if no example lacks its vector (and where they are many, its index
        is there); whether it does."""
        ...

    def without_embedding(self, model: str, limit: int) -> Sequence[Example]:
        """Those that have none of that model, by id."""
        ...

    def set_embeddings(self, model: str, vectors: Mapping[Example, Sequence[float]]) -> None:
        """Of those that still say the same: one that was replaced or forgotten since it was read, or is being so now,
        is passed over. Vectors of several models stand beside each other."""
        ...

    def forget_embeddings(self, model: str, limit: int) -> int:
        """Drops up to `limit` vectors of the model, unless it serves; how many."""
        ...

    def nearest(self, model: str, vectors: Sequence[Sequence[float]], k: int) -> Sequence[Sequence[Neighbour]]:
        """For each vector the `k` examples of that model nearest by cosine, nearest first, equally near ones by id.
        Exact, but for tenants with very many examples, where of a thousand neighbours some few may be missed."""
        ...


class Embeddings(Protocol):
    """The cache: vectors by model and content address (`text_digest`)."""

    def get(self, model: str, digests: Sequence[bytes]) -> Mapping[bytes, Sequence[float]]: ...

    def put(self, model: str, vectors: Mapping[bytes, Sequence[float]]) -> None:
        """Keeps what is new: the same content has the same vector."""
        ...

    def forget(self, model: str, limit: int) -> int:
        """Drops up to `limit` vectors of the model; how many."""
        ...
