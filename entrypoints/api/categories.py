"""The tenant's category tree."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.categories import Category, paths
from core.domain.category_changes import Belongings
from core.domain.permissions import Permission
from core.errors import Invalid
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import fields_of, if_match, part, versioned
from entrypoints.api.schemas.base import page_of
from entrypoints.api.schemas.catalog import (
    CategoriesQuerySchema,
    CategoryChangeSchema,
    CategoryDeleteSchema,
    CategorySchema,
    MergedSchema,
    MergeSchema,
    NewCategorySchema,
)
from entrypoints.api.state import actor, container

blp = Blueprint("categories", "What records are sorted into.", "/categories")


@blp.route("")
@needs(Permission.CATEGORIES_READ)
@blp.query(CategoriesQuerySchema)
@blp.answer(200, page_of(CategorySchema))
def list_categories(query: dict[str, Any]) -> dict[str, Any]:
    """All categories, by key."""
    categories = container().list_categories(actor())
    by_path = paths(categories)
    rows = [fields_of(c) | {"path": by_path[c.id]} for c in categories]
    if query["with_belongings"]:
        used = container().category_usage(actor())
        rows = [row | {"belongings": used.get(row["id"], Belongings())} for row in rows]
    return part(rows, query)


@blp.route("", "POST")
@needs(Permission.CATEGORIES_WRITE)
@blp.body(NewCategorySchema)
@blp.answer(201, CategorySchema)
def create_category(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Adds a category."""
    category = container().create_category(posting(), **body)
    return _shown(category), {"Location": f"/api/v1/categories/{category.id}"}


@blp.route("/<uuid:category_id>")
@needs(Permission.CATEGORIES_READ)
@blp.answer(200, CategorySchema)
def get_category(category_id: UUID) -> dict[str, Any]:
    """A category."""
    return _shown(container().get_category(actor(), category_id))


@blp.route("/<uuid:category_id>", "PATCH")
@needs(Permission.CATEGORIES_WRITE)
@conditional
@blp.body(CategoryChangeSchema)
@blp.answer(200, CategorySchema)
def change_category(changes: dict[str, Any], category_id: UUID) -> dict[str, Any]:
    """Changes a category, or moves it."""
    return _shown(container().change_category(actor(), category_id, changes, version=if_match()))


@blp.route("/<uuid:category_id>/merge", "POST")
@limited(Kind.COSTLY)
@needs(Permission.CATEGORIES_WRITE)
@conditional
@blp.body(MergeSchema)
@blp.answer(200, MergedSchema)
def merge_category(body: dict[str, Any], category_id: UUID) -> dict[str, Any]:
    """Moves records, examples, rules, proposals, review items and child categories into another category, and removes
    this one. Its id, key and name stand for the other from then on. Nothing undoes it."""
    merged = container().merge_category(posting(), category_id, body["into"], version=if_match())
    return {"category": _shown(merged.into), "moved": merged.moved}


@blp.route("/<uuid:category_id>", "DELETE")
@needs(Permission.CATEGORIES_WRITE)
@conditional
@blp.query(CategoryDeleteSchema)
@blp.answer(204)
def delete_category(query: dict[str, Any], category_id: UUID) -> None:
    """Removes a category that nothing uses; with `into`, merges it; with `unsort=true`, takes apart what uses it: its
    records go back to review, whoever decided them, its examples go, its rules are disabled. Nothing undoes it."""
    if query["into"] is not None and query["unsort"]:
        raise Invalid("into keeps the records sorted, unsort does not: send one of them")
    if query["into"] is not None:
        container().merge_category(actor(), category_id, query["into"], version=if_match())
    elif query["unsort"]:
        container().unsort_category(actor(), category_id, version=if_match())
    else:
        container().delete_category(actor(), category_id, version=if_match())


def _shown(category: Category) -> dict[str, Any]:
    versioned(category.version)
    return fields_of(category) | {"path": paths(container().list_categories(actor()))[category.id]}
