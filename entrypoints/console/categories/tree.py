"""The tree of categories, with what belongs to each; adding, renaming and moving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, redirect, request
from marshmallow import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from core.domain.categories import Category, paths
from core.domain.category_changes import Belongings
from core.domain.permissions import Permission
from core.domain.records import normalise
from core.errors import Conflict, Invalid, VersionMismatch
from entrypoints.api.schemas.catalog import CategoryChangeSchema, NewCategorySchema
from entrypoints.api.state import container
from entrypoints.console.fields import CHANGED, an_id, said_of, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import done, show

blp = Blueprint("category_pages", __name__)
PATH = "/categories"
PAGE = 300
MOST_DEPTHS = 6
"""That are told from each other by where they begin: below, all begin there."""
FIELDS = ("name", "key", "parent_id", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    category: Category
    path: str
    depth: int
    used: Belongings


@blp.get(PATH)
@page_for(Permission.CATEGORIES_READ)
def list_categories() -> Response:
    asked = normalise(request.args.get("q", ""))
    used, categories = container().category_usage(me()), container().list_categories(me())
    found = list(branches(categories, used))
    shown = [b for b in found if not asked or asked in normalise(b.path) or asked in b.category.key]
    after = an_id(request.args.get("after"))
    places = [place for place, branch in enumerate(shown) if branch.category.id == after]
    rows = shown[places[0] + 1 if places else 0 :]
    last = str(rows[PAGE - 1].category.id) if len(rows) > PAGE else None
    return show(
        "categories/tree.html",
        branches=rows[:PAGE],
        asked=request.args.get("q", ""),
        total=len(found),
        more={"after": last, "q": request.args.get("q", "")} if last else None,
    )


@blp.get(f"{PATH}/new")
@page_for(Permission.CATEGORIES_WRITE)
def new_category() -> Response:
    return _new({"parent_id": request.args.get("parent", "")})


@blp.post(f"{PATH}/new")
@page_for(Permission.CATEGORIES_WRITE)
def create_category() -> AnyResponse:
    typed = {name: request.form.get(name, "").strip() for name in FIELDS}
    try:
        made = container().create_category(me(), **NewCategorySchema().load(_sent(typed)))
    except ValidationError as wrong:
        return _new(typed, 422, said_of(wrong))
    except (Invalid, Conflict) as error:
        return _new(typed, error.status, _beside(error))
    return done(f"{PATH}/{made.id}", f"“{made.name}” is there.")


@blp.get(f"{PATH}/<uuid:category_id>")
@page_for(Permission.CATEGORIES_READ)
def get_category(category_id: UUID) -> AnyResponse:
    """A merged one leads to what it was merged into."""
    category = container().get_category(me(), category_id)
    return category_page(category) if category.id == category_id else redirect(f"{PATH}/{category.id}", 303)


@blp.post(f"{PATH}/<uuid:category_id>")
@page_for(Permission.CATEGORIES_WRITE)
def change_category(category_id: UUID) -> AnyResponse:
    category = container().get_category(me(), category_id)
    typed = {name: request.form.get(name, "").strip() for name in FIELDS}
    try:
        changes = CategoryChangeSchema().load({**typed, "parent_id": typed["parent_id"] or None})
        changed = {name: value for name, value in changes.items() if value != getattr(category, name)}
        if changed:
            container().change_category(me(), category_id, changed, version=sent_version())
    except ValidationError as wrong:
        return category_page(category, 422, errors=said_of(wrong), typed=typed)
    except (Invalid, Conflict) as error:
        return category_page(category, error.status, errors=_beside(error), typed=typed)
    except VersionMismatch:
        return category_page(category, 409, error=CHANGED, typed=typed)
    return done(f"{PATH}/{category_id}", "Saved." if changed else "Nothing was changed.")


def category_page(
    category: Category,
    status: int = 200,
    *,
    error: str = "",
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    """With what went wrong, in all or by field, and what was typed in place of what the category has."""
    categories = container().list_categories(me())
    by_path, below = paths(categories), _below(category.id, categories)
    return show(
        "categories/one.html",
        status,
        category=category,
        path=by_path.get(category.id, category.name),
        used=container().category_belongings(me(), category.id),
        children=[(c, by_path[c.id]) for c in categories if c.parent_id == category.id],
        parents=_choices(categories, below),
        others=_choices(categories, {category.id}),
        error=error,
        errors=errors or {},
        typed={name: str(getattr(category, name) or "") for name in FIELDS} | dict(typed or {}),
    )


def branches(categories: Sequence[Category], used: Mapping[UUID, Belongings]) -> Iterator[Branch]:
    """From the roots down, each level by name."""
    by_path = paths(categories)
    below: dict[UUID | None, list[Category]] = {}
    for category in sorted(categories, key=lambda c: (c.name.casefold(), c.key)):
        below.setdefault(category.parent_id, []).append(category)
    waiting = [(category, 0) for category in reversed(below.get(None, []))]
    while waiting:
        category, depth = waiting.pop()
        yield Branch(
            category=category,
            path=by_path[category.id],
            depth=min(depth, MOST_DEPTHS),
            used=used.get(category.id, Belongings()),
        )
        waiting += [(child, depth + 1) for child in reversed(below.get(category.id, []))]


def _new(typed: Mapping[str, str], status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    parents = _choices(container().list_categories(me()), set())
    blank = dict.fromkeys(FIELDS, "")
    return show("categories/new.html", status, typed=blank | dict(typed), errors=errors or {}, parents=parents)


def _sent(typed: Mapping[str, str]) -> dict[str, Any]:
    """Without what was left blank."""
    return {name: value for name, value in typed.items() if value}


def _beside(error: Invalid | Conflict) -> dict[str, str]:
    """The field that it is about, as far as the words tell."""
    said = str(error)
    field = next((name for name in ("parent", "key", "name") if name in said), "name")
    return {{"parent": "parent_id"}.get(field, field): said}


def _choices(categories: Sequence[Category], without: set[UUID]) -> list[tuple[str, str]]:
    by_path = paths(categories)
    found = [(str(c.id), by_path[c.id]) for c in categories if c.id not in without]
    return sorted(found, key=lambda pair: pair[1].casefold())


def _below(id: UUID, categories: Sequence[Category]) -> set[UUID]:
    """The category and all that stand below it."""
    found, waiting = {id}, [id]
    while waiting:
        above = waiting.pop()
        children = [c.id for c in categories if c.parent_id == above and c.id not in found]
        found.update(children)
        waiting += children
    return found
