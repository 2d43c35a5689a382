"""What Sortation asks of every connector, by its conformance kit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from github import issue

from sortation.testing import Answer, Asked, ConnectorConformance, Delivery, Item, Source

SHOP, TOOLS = "octo/shop", "octo/tools"
OPENED = {
    "action": "opened",
    "issue": issue(7, "2026-03-02T00:00:00Z", title="Checkout fails"),
    "repository": {"full_name": SHOP},
}


class TestGithubIssues(ConnectorConformance):
    plugin = "sortation_github_issues"
    config = MappingProxyType({"repositories": [SHOP, TOOLS]})
    bad_configs = ({"repositories": ["octo/none"]},)
    orders_pages = True
    deliveries = (
        Delivery(body=OPENED, headers={"X-GitHub-Event": "issues", "X-GitHub-Delivery": "72d3"}),
        Delivery(
            body={"zen": "Design for failure."}, drafts=0, headers={"X-GitHub-Event": "ping", "X-GitHub-Delivery": "1"}
        ),
    )

    of_interest_by = frozenset({"action", "full_name"})

    def serve(self, source: Source, asked: Asked) -> Answer:
        repository = asked.path.removeprefix("/repos/").removesuffix("/issues")
        if repository not in (SHOP, TOOLS):
            return Answer(status=404, json={"message": "Not Found"})
        since, number = asked.query.get("since"), int(asked.query.get("page", "1"))
        items, more = source.page(
            number,
            repository,
            since=datetime.fromisoformat(since) if since else None,
            size=int(asked.query["per_page"]),
        )
        following = urlencode({**asked.query, "page": number + 1})
        link = {"Link": f'<https://{asked.host}{asked.path}?{following}>; rel="next"'} if more else {}
        return Answer(json=[of_github(item) for item in items], headers=link)

    def expected(self, item: Item) -> Mapping[str, Any]:
        return {
            "external_id": str(item.number),
            "kind": "ticket",
            "text": item.text,
            "counterparty": item.counterparty,
            "occurred_at": item.at,
        }


def of_github(item: Item) -> dict[str, Any]:
    found = issue(item.number, item.changed_at.isoformat().replace("+00:00", "Z"), title=item.text, body=None)
    found |= {"created_at": item.at.isoformat(), "user": {"login": item.counterparty}}
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain
