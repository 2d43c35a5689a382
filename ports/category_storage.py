"""The repository of the category tree; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from core.domain.categories import Category
from core.domain.category_changes import Belongings


class Categories(Protocol):
    """Whoever gives categories to things that others change, too, calls `hold` before touching these; so merging and
    removing a category, which lock it before all that belongs to it, wait for them, and they for it."""

    def list(self) -> Sequence[Category]:
        """All of them, by key."""
        ...

    def fingerprint(self) -> str:
        """Of the categories that there are: another one whenever one was added, merged or removed."""
        ...

    def get(self, id: UUID) -> Category: ...

    def hold(self, ids: Collection[UUID]) -> Mapping[UUID, UUID]:
        """Each of these categories → the one that it is now: itself, or what it was merged into; what is gone is left
        out. None of these goes until the transaction ends."""
        ...

    def lock_tree(self) -> None:
        """Nobody else merges, removes or moves categories of the tenant until the transaction ends."""
        ...

    def aliases(self) -> Mapping[str, UUID]:
        """What categories were known by before: normalised names, keys and paths, and the ids (as texts) of those that
        were merged → the category that it is now."""
        ...

    def add_aliases(self, aliases: Mapping[str, UUID]) -> None:
        """A name that was an alias of another becomes one of this category. Raises `Invalid` when it doesn't exist."""
        ...

    def add(self, categories: Sequence[Category]) -> None:
        """Parents before children. Raises `Conflict` when a key is taken, `Invalid` when a parent does not exist."""
        ...

    def update(self, category: Category) -> None:
        """Guarded by version, which then rises; raises `VersionMismatch` or `Conflict` (key taken)."""
        ...

    def belongings(self, id: UUID) -> Belongings:
        """What belongs to the category; nothing for an unknown one."""
        ...

    def usage(self) -> Mapping[UUID, Belongings]:
        """What belongs to each category to which something does."""
        ...

    def merge(self, id: UUID, into: UUID, *, version: int | None, parents: Mapping[UUID, UUID | None]) -> Belongings:
        """Gives all that belongs to the category to `into`, and removes it; returns what that was.

        Records keep their state, and an earlier rule run over them can still be undone; examples, rules, proposals (an
        equal one of `into` absorbs them), the review queue and its history, aliases; children get the given `parents`.
        Versions of what changes rise, as does the tenant's `rules_version`. The old id becomes an alias. To be called
        after `lock_tree`. Raises `VersionMismatch`, or `NotFound` for either category.
        """
        ...

    def unsort(
        self, id: UUID, *, version: int | None, parents: Mapping[UUID, UUID | None], by: str, why: str
    ) -> Belongings:
        """Removes the category with all that it taught; returns what belonged to it.

        Its records wait for a person again, `why` in their traces, and answers that gave it are withdrawn in the name
        of `by`; its examples and proposals go; its rules are disabled, and would ask for a person; open items suggest
        it no longer; children get the given `parents`. Versions rise as in `merge`, whose order of calls and errors
        are the same.
        """
        ...

    def delete(self, id: UUID, version: int | None) -> None:
        """Raises `Conflict`, which tells what, while records, rules, examples or child categories use it. Proposals go
        with it, and open items suggest it no longer."""
        ...
