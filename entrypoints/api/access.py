"""What each view demands of who calls it, and what the request at hand brings."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app, request

from core.domain.permissions import Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a view demands. Without a permission any key of a tenant will do; `operator` says that the operator's key
    opens it. `console` is a page, which looks at sessions instead (`entrypoints.console.guard`)."""

    public: bool = False
    console: bool = False
    permission: Permission | None = None
    operator: bool = False

    @property
    def by_token(self) -> bool:
        """Whether a bearer token opens it: all others read none."""
        return not (self.public or self.console)


def access_of(app: Flask, endpoint: str) -> Access:
    """Raises `RuntimeError` naming a view that says not who may call it."""
    access = getattr(app.view_functions[endpoint], "access", None)
    if not isinstance(access, Access):
        raise RuntimeError(f"the view {endpoint} is declared neither by @needs nor by @public")
    return access


def is_page() -> bool:
    """Whether the request is for a page of the console."""
    return request.endpoint is not None and access_of(current_app, request.endpoint).console


def wants_json() -> bool:
    """Whether a script asks, and not a person: what went wrong is written for it, then."""
    return request.accept_mimetypes.best == "application/json"


def bearer_token() -> str:
    """The token of the request, however it is written around it; '' without one."""
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def counted_token() -> str:
    """The token by which the request is let in, if at all; '' where nothing looks at it."""
    if request.endpoint is None or not access_of(current_app, request.endpoint).by_token:
        return ""
    return bearer_token()
