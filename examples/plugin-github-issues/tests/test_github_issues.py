from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from github import Github, Http, issue
from sortation_github_issues import MAX_TEXT, GithubIssues, sortation_connectors

from sortation import Batch, Context, Draft, ReadRequest, ReauthRequired, SchemaChanged, WebhookMessage

SHOP = "octo/shop"


@pytest.fixture
def github() -> Iterator[Github]:
    with Github() as running:
        yield running


def ctx(github: Github, *repositories: str) -> Context:
    return Context(config={"repositories": repositories or (SHOP,), "base_url": github.url}, http=Http())


def read(github: Github, cursor: Mapping[str, Any] | None = None, size: int = 100) -> Iterator[Batch]:
    return GithubIssues().read(ctx(github), ReadRequest(stream=SHOP, cursor=cursor, batch_size=size))


def numbers(batches: list[Batch]) -> list[int]:
    return [int(draft.external_id or 0) for batch in batches for draft in batch.drafts]


def test_an_issue_is_a_ticket(github: Github) -> None:
    github.issues[SHOP] = [
        issue(
            7,
            "2026-03-02T00:00:00Z",
            title="Checkout  fails",
            body="Since\r\nyesterday.",
            labels=[{"name": "bug"}, "urgent"],
            assignees=[{"login": "grace"}],
            milestone={"title": "1.2"},
            author_association="MEMBER",
        )
    ]
    (batch,) = read(github)
    assert batch.drafts == (
        Draft(
            kind="ticket",
            account=SHOP,
            external_id="7",
            text="Checkout fails Since yesterday.",
            occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
            counterparty="ada",
            attributes={
                "labels": ["bug", "urgent"],
                "state": "open",
                "assignees": ["grace"],
                "milestone": "1.2",
                "author_association": "MEMBER",
            },
            raw={
                "id": 9007,
                "number": 7,
                "html_url": "https://github.com/octo/shop/issues/7",
                "updated_at": "2026-03-02T00:00:00Z",
                "closed_at": None,
            },
        ),
    )


def test_pull_requests_are_skipped_and_odd_issues_refused(github: Github) -> None:
    github.issues[SHOP] = [
        issue(1, "2026-03-01T00:00:00Z", pull_request={"url": "x"}),
        issue(2, "2026-03-02T00:00:00Z", created_at="once"),
        issue(3, "2026-03-03T00:00:00Z", user=None, body="x" * 9_000),
    ]
    (batch,) = read(github)
    assert [(d.external_id, d.counterparty, len(d.text)) for d in batch.drafts] == [("3", "", MAX_TEXT)]
    assert [r.position for r in batch.refusals] == [2]
    assert batch.cursor == {"since": "2026-03-03T00:00:00Z"}


@pytest.mark.parametrize("crash_after", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_no_tie_or_crash_loses_an_issue(github: Github, size: int, crash_after: int) -> None:
    changed = ["01", "02", "02", "02", "02", "02", "03", "03", "04"]
    github.issues[SHOP] = [issue(n, f"2026-03-{day}T00:00:00Z") for n, day in enumerate(changed, start=1)]
    found: set[int] = set()
    cursor: Mapping[str, Any] | None = None
    for _ in range(40):
        part = list(islice(read(github, cursor, size), crash_after))
        found |= set(numbers(part))
        cursor = json.loads(json.dumps(part[-1].cursor))
    assert found == set(range(1, 10))


def test_one_that_changes_meanwhile_pushes_none_over_the_edge_of_a_page(github: Github) -> None:
    stored = [issue(n, f"2026-03-0{n}T00:00:00Z") for n in range(1, 7)]
    github.issues[SHOP] = stored
    reading = read(github, size=2)
    found = numbers([next(reading)])
    stored[0]["updated_at"] = "2026-03-09T00:00:00Z"
    found += numbers(list(reading))
    assert sorted(set(found)) == [1, 2, 3, 4, 5, 6]


def test_the_next_read_asks_for_what_changed_since(github: Github) -> None:
    github.issues[SHOP] = [issue(1, "2026-03-01T00:00:00Z"), issue(2, "2026-03-02T00:00:00Z")]
    (batch,) = read(github)
    github.issues[SHOP].append(issue(3, "2026-03-02T00:00:00Z"))
    again = list(read(github, batch.cursor))
    assert (github.asked[-1]["since"], numbers(again)) == ("2026-03-02T00:00:00Z", [2, 3])
    assert list(read(github, again[-1].cursor))[-1].cursor == again[-1].cursor


def test_each_repository_is_checked_and_is_a_stream(github: Github) -> None:
    github.issues[SHOP] = []
    context = ctx(github, SHOP, "octo/none")
    good, bad = GithubIssues().check(context)
    assert (good.ok, bad.stream, bad.ok) == (True, "octo/none", False)
    assert "no such repository" in bad.reason
    assert [(s.name, s.kind) for s in GithubIssues().discover(context)] == [(SHOP, "ticket"), ("octo/none", "ticket")]
    github.status = 403
    assert GithubIssues().check(context)[0].reason == "the token may not read its issues"
    github.status = 401
    with pytest.raises(ReauthRequired):
        GithubIssues().check(context)


def test_another_order_is_not_taken(github: Github, monkeypatch: pytest.MonkeyPatch) -> None:
    unsorted = [issue(1, "2026-03-02T00:00:00Z"), issue(2, "2026-03-01T00:00:00Z")]
    monkeypatch.setattr(github, "answer", lambda *_: (200, unsorted, {}))
    with pytest.raises(SchemaChanged, match="order"):
        list(read(github))


def test_no_other_host_gets_the_token(github: Github, monkeypatch: pytest.MonkeyPatch) -> None:
    link = {"Link": '<https://evil.example/?page=2>; rel="next"'}
    monkeypatch.setattr(github, "answer", lambda *_: (200, [], link))
    with pytest.raises(SchemaChanged):
        list(read(github))


def told(github: Github, event: str, body: Any) -> Batch:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    message = WebhookMessage(
        id="d1", body=content, headers={"x-github-event": event}, received_at=datetime(2026, 3, 1, tzinfo=UTC)
    )
    return GithubIssues().parse_webhook(ctx(github), message)


def test_a_webhook_brings_the_issue_that_a_read_would(github: Github) -> None:
    github.issues[SHOP] = [issue(4, "2026-03-01T00:00:00Z")]
    event = {"action": "opened", "issue": github.issues[SHOP][0], "repository": {"full_name": SHOP}}
    (read_one,) = read(github)
    assert told(github, "issues", event).drafts == read_one.drafts
    assert told(github, "issues", event).cursor is None


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        ("ping", {}),
        ("issue_comment", {}),
        ("issues", {"action": "deleted"}),
        ("issues", {"repository": {"full_name": "octo/other"}}),
        ("issues", {"issue": issue(4, "2026-03-01T00:00:00Z", pull_request={})}),
    ],
)
def test_events_of_no_interest_bring_nothing(github: Github, event: str, changes: dict[str, Any]) -> None:
    body = {"action": "opened", "issue": issue(4, "2026-03-01T00:00:00Z"), "repository": {"full_name": SHOP}}
    assert told(github, event, body | changes) == Batch()


@pytest.mark.parametrize("body", [b"\xff", b"[]", b"{}", b'{"action": "opened", "issue": {}, "repository": null}'])
def test_an_event_that_is_none_is_told(github: Github, body: bytes) -> None:
    with pytest.raises(SchemaChanged):
        told(github, "issues", body)


def test_the_manifest_names_a_factory_that_is_there() -> None:
    (manifest,) = sortation_connectors()
    assert manifest.factory == f"{GithubIssues.__module__}:{GithubIssues.__name__}"
    assert manifest.secret_fields() == {"api_key", "webhook_secret"}
    assert (Path(__file__).parents[1] / "README.md").read_text().startswith("# sortation-github-issues")
