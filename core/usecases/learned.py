"""What was learned of people's answers: how many teach, what waits that is like them, the rules that come of them, and
what was decided alone of what came, delivery by delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.domain.connections import ImportProgress, ImportStatus
from core.domain.decisions import Stage
from core.domain.proposals import Proposal, ProposalStatus
from core.domain.tenants import Actor
from ports.kept import Kept
from ports.storage import RecordFilter, UnitOfWork

DELIVERIES = 6
PROPOSED = 100
"""Open proposals that are looked at: more are told as so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """`lessons` are the records that teach, by their category, the most first; the ensemble has had `had` of them. Of
    the `waiting` items of the review queue, `alike` are of a group that a lesson is of. `proposed` are the open
    proposals, at most `PROPOSED`; `alone` says that similarity may decide without a person by now. `deliveries` are the
    latest imports that were read and brought records for the stages, the earliest first."""

    lessons: Mapping[UUID, int]
    had: int
    waiting: int
    alike: int
    proposed: Sequence[Proposal]
    alone: bool
    deliveries: Sequence[ImportProgress]

    @property
    def count(self) -> int:
        return sum(self.lessons.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """Of the records that teach (`lessons`), the ensemble has had so many."""

    lessons: int
    had: int


def show_learned(actor: Actor, *, uow: UnitOfWork, kept: Kept) -> Learned:
    """What takes counting through records, `alike` and the deliveries' parts, may be some seconds old, unless the
    lessons, what waits, or the imports have changed since. Raises `Transient`."""
    with uow.begin(actor) as tx:
        settings, ensemble = tx.tenants.get().settings, tx.ensembles.stored()
        latest = tx.imports.list(before=None, limit=DELIVERIES)
        lessons, had, waiting = tx.overviews.lessons(), tx.lessons.had(), tx.approvals.count_open()
        proposed = tx.proposals.list(status=ProposalStatus.OPEN, after=None, limit=PROPOSED)
    sure = settings.similarity_threshold is not None or (ensemble is not None and ensemble.gate.threshold is not None)
    read = [one for one in latest if one.status is ImportStatus.DONE and one.inserted and not one.approved]
    read.reverse()

    def count() -> tuple[int, Sequence[ImportProgress]]:
        with uow.begin(actor) as tx:
            return tx.overviews.alike(), [
                ImportProgress(imported=one, records=tx.records.tally(RecordFilter(import_id=one.id))) for one in read
            ]

    of = ("learned", actor.tenant_id, sum(lessons.values()), waiting, tuple(one.id for one in read))
    alike, deliveries = kept.get(of, count)
    return Learned(
        lessons=lessons,
        had=had,
        waiting=waiting,
        alike=alike,
        proposed=proposed,
        alone=Stage.SIMILARITY in settings.alone and sure,
        deliveries=deliveries,
    )


def show_learning(actor: Actor, *, uow: UnitOfWork) -> Learning:
    """How far it has learned: two counts, for who waits until it has."""
    with uow.begin(actor) as tx:
        return Learning(lessons=sum(tx.overviews.lessons().values()), had=tx.lessons.had())


def count_lessons(actor: Actor, *, most: int, uow: UnitOfWork) -> int:
    """How many records teach, up to `most`."""
    with uow.begin(actor) as tx:
        return len(tx.examples.list(after=None, limit=most))
