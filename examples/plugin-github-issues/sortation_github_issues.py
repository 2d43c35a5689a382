"""The issues of GitHub repositories as tickets: a connector that is asked, and one that is told by webhooks.

Installed beside Sortation (`pip install examples/plugin-github-issues`), it is found by its entry point.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sortation import (
    Auth,
    AuthKind,
    Batch,
    ConfigInvalid,
    Connector,
    ConnectorManifest,
    Context,
    Draft,
    HttpResponse,
    PermissionDenied,
    RateLimit,
    ReadRequest,
    Refusal,
    SchemaChanged,
    StreamCheck,
    StreamInfo,
    Webhook,
    WebhookMessage,
    WebhookScheme,
    hookimpl,
)

GITHUB = "https://api.github.com"
PAGE = 100
"""Issues on a page; GitHub gives no more."""
MAX_TEXT = 4_000
GONE = frozenset({"deleted", "transferred"})
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_NEXT = re.compile(r'<([^>]*)>;[^<]*\brel="next"')
CONFIG_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["repositories", "api_key"],
    "properties": {
        "repositories": {
            "type": "array",
            "minItems": 1,
            "maxItems": 200,
            "uniqueItems": True,
            "items": {"type": "string", "pattern": r"^[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+$"},
            "x-leads-nowhere": True,
            "description": "Whose issues are read, by owner and name.",
            "examples": [["octo/shop"]],
        },
        "api_key": {
            "type": "string",
            "minLength": 1,
            "writeOnly": True,
            "description": "A token that may read the issues of these repositories.",
        },
        "webhook_secret": {
            "type": ["string", "array"],
            "minLength": 1,
            "minItems": 1,
            "items": {"type": "string", "minLength": 1},
            "writeOnly": True,
            "description": "The secret of the repositories' webhook, where it has one; several, while it changes.",
        },
        "base_url": {
            "type": "string",
            "pattern": r"^https?://[^\s?#@]+$",
            "default": GITHUB,
            "description": "Where the API is, if not at GitHub itself.",
            "examples": ["https://github.example.com/api/v3"],
        },
    },
}


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="github-issues",
            version="1.0.0",
            title="GitHub issues",
            factory="sortation_github_issues:GithubIssues",
            config_schema=CONFIG_SCHEMA,
            pulls=True,
            auth=Auth(kind=AuthKind.API_KEY),
            rate_limit=RateLimit(requests=5_000, seconds=3_600),
            webhook=Webhook(scheme=WebhookScheme.GITHUB, id_header="x-github-delivery"),
        )
    ]


class GithubIssues(Connector):
    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        return [_checked(ctx, repository) for repository in ctx.config["repositories"]]

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        return [StreamInfo(name=name, title=name, kind="ticket") for name in ctx.config["repositories"]]

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        """The cursor is the last change seen, `since`; and `page`, the address of the next page of the issues that
        changed at that very moment, where one page does not hold them."""
        if request.stream not in ctx.config["repositories"]:
            raise ConfigInvalid(f"the configuration has no repository {request.stream!r}")
        cursor = dict(request.cursor or {})
        read = 0
        while True:
            answer = _page(ctx, request.stream, cursor, min(PAGE, request.batch_size))
            issues, following = _issues(answer), _following(ctx, answer)
            cursor = _onward(cursor, issues, following)
            yield _batch(issues, request.stream, cursor, read)
            read += len(issues)
            if following is None:
                return

    def parse_webhook(self, ctx: Context, message: WebhookMessage) -> Batch:
        if message.headers.get("x-github-event") != "issues":
            return Batch()
        try:
            event = json.loads(message.body)
            issue, repository = event["issue"], event["repository"]["full_name"]
            gone = event["action"] in GONE
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise SchemaChanged(f"this is no event of issues: {error!r}") from error
        if gone or repository not in ctx.config["repositories"]:
            return Batch()
        return _batch([issue], repository, None, 0)


def _page(ctx: Context, repository: str, cursor: Mapping[str, Any], size: int) -> HttpResponse:
    if "page" in cursor:
        return ctx.http.request("GET", cursor["page"], headers=_HEADERS)
    params = {"state": "all", "sort": "updated", "direction": "asc", "per_page": str(size)}
    if "since" in cursor:
        params["since"] = cursor["since"]
    return ctx.http.request("GET", f"{_base(ctx)}/repos/{repository}/issues", params=params, headers=_HEADERS)


def _issues(answer: HttpResponse) -> list[dict[str, Any]]:
    """Raises `SchemaChanged` unless they are in the order that was asked for: the cursor relies on it."""
    try:
        issues: list[dict[str, Any]] = answer.json()
        changed = [issue["updated_at"] for issue in issues]
        in_order = changed == sorted(changed) and all(isinstance(moment, str) for moment in changed)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise SchemaChanged(f"GitHub's answer is no list of issues: {error!r}") from error
    if not in_order:
        raise SchemaChanged("GitHub's issues are not in the order of their changes")
    return issues


def _following(ctx: Context, answer: HttpResponse) -> str | None:
    found = _NEXT.search(answer.headers.get("link", ""))
    if found is None:
        return None
    if not found[1].startswith(f"{_base(ctx)}/"):  # the token goes along with it
        raise SchemaChanged("the next page is not where the API is")
    return found[1]


def _onward(cursor: Mapping[str, Any], issues: Sequence[Mapping[str, Any]], following: str | None) -> dict[str, Any]:
    since = cursor.get("since")
    last = issues[-1]["updated_at"] if issues else since
    if following is not None and last == since:
        return {"since": since, "page": following} if since else {"page": following}
    return {} if last is None else {"since": last}


def _batch(issues: Sequence[Mapping[str, Any]], repository: str, cursor: Mapping[str, Any] | None, read: int) -> Batch:
    drafts: list[Draft] = []
    refusals: list[Refusal] = []
    for position, issue in enumerate(issues, start=read + 1):
        try:
            if "pull_request" in issue:  # to GitHub these are issues too
                continue
            drafts.append(_draft(issue, repository))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            refusals.append(Refusal(position=position, reason=f"it is not like an issue: {error!r}"))
    return Batch(drafts=tuple(drafts), refusals=tuple(refusals), cursor=cursor)


def _draft(issue: Mapping[str, Any], repository: str) -> Draft:
    text = " ".join(f"{issue['title']} {issue.get('body') or ''}".replace("\0", "").split())
    author = (issue.get("user") or {}).get("login", "")  # null once the account is deleted
    milestone = issue.get("milestone") or {}
    return Draft(
        kind="ticket",
        account=repository,
        external_id=str(issue["number"]),
        text=text[:MAX_TEXT],
        occurred_at=datetime.fromisoformat(issue["created_at"]),
        counterparty=author,
        attributes={
            "labels": [label if isinstance(label, str) else label["name"] for label in issue.get("labels", ())],
            "state": issue["state"],
            "assignees": [user["login"] for user in issue.get("assignees") or ()],
            "milestone": milestone.get("title"),
            "author_association": issue.get("author_association"),
        },
        raw={name: issue.get(name) for name in ("id", "number", "html_url", "updated_at", "closed_at")},
    )


def _checked(ctx: Context, repository: str) -> StreamCheck:
    try:
        _issues(_page(ctx, repository, {}, 1))
    except PermissionDenied:
        return StreamCheck(stream=repository, ok=False, reason="the token may not read its issues")
    except ConfigInvalid as error:  # 404, also for a private repository that the token does not see; 410: switched off
        reason = f"there is no such repository, or it has no issues, or the token does not see it ({error})"
        return StreamCheck(stream=repository, ok=False, reason=reason)
    except SchemaChanged as error:
        return StreamCheck(stream=repository, ok=False, reason=str(error))
    return StreamCheck(stream=repository, ok=True)


def _base(ctx: Context) -> str:
    base: str = ctx.config.get("base_url", GITHUB)
    return base.rstrip("/")
