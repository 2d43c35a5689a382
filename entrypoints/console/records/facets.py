"""What else there is to choose in a list of records: its facets as the choices of a form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from core.domain.facets import Facet, Facets
from entrypoints.console.records.filters import STAGES, STATUSES, Filters


class Choice(NamedTuple):
    """`records` is None where it is not known: of what nothing that was looked at has, or where there is no filter that
    holds."""

    value: str
    text: str
    records: int | None = None

    @property
    def label(self) -> str:
        return self.text if self.records is None else f"{self.text} ({self.records:,})"


def choices_of(
    filters: Filters, facets: Facets | None, categories: Mapping[str, str], connections: Mapping[str, str]
) -> dict[str, list[Choice]]:
    """By the name of the field. What is chosen stays to be chosen, however few there are of it."""
    counts = {facet: _counts(facets, facet) for facet in Facet}

    def named(facet: Facet, names: Mapping[str, str]) -> list[Choice]:
        found = [Choice(value, text, counts[facet].get(value)) for value, text in names.items()]
        return sorted(found, key=lambda choice: choice.text.casefold())

    def seen(facet: Facet, name: str) -> list[Choice]:
        chosen = [filters.given[name]] if name in filters.given else []
        values = dict.fromkeys([*counts[facet], *chosen])
        return [
            Choice(value, _month(value) if facet is Facet.MONTH else value, counts[facet].get(value))
            for value in values
        ]

    return {
        "status": [
            Choice(value, text, None if facets is None else counts[Facet.STATUS].get(value, 0))
            for value, text in STATUSES.items()
        ],
        "stage": [Choice(value, text, counts[Facet.STAGE].get(value)) for value, text in STAGES.items()],
        "category_id": named(Facet.CATEGORY, categories),
        "connection_id": named(Facet.CONNECTION, connections),
        "currency": sorted(seen(Facet.CURRENCY, "currency")),
        "kind": sorted(seen(Facet.KIND, "kind")),
        "month": sorted(seen(Facet.MONTH, "month"), reverse=True),
    }


def with_labels(choices: Iterable[Choice]) -> list[tuple[str, str]]:
    return [(choice.value, choice.label) for choice in choices]


def _counts(facets: Facets | None, facet: Facet) -> dict[str, int]:
    if facets is None:
        return {}
    return {str(value): count for value, count in facets.counts[facet].items() if value is not None}


def _month(value: str) -> str:
    try:
        return f"{date.fromisoformat(f'{value}-01'):%B %Y}"
    except ValueError:
        return value
