"""A provider of OAuth2 on loopback, out of Authlib's own server: PKCE is demanded, refresh tokens serve once."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "sortation-test", "canary-client-secret-0123456789"


class Client(ClientMixin):  # type: ignore[misc]
    def __init__(self, provider: OAuthServer) -> None:
        self.provider = provider

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri.endswith("/api/v1/oauth/callback")

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret, CLIENT_SECRET)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.provider.auth_method

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return True


@dataclass
class Code:
    code: str
    user: str
    redirect_uri: str
    scope: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token(TokenMixin):  # type: ignore[misc]
    user: str
    access_token: str
    refresh_token: str | None
    expires_at: float
    scope: str = ""
    revoked: bool = False

    def get_scope(self) -> str:
        return self.scope

    def check_client(self, client: Client) -> bool:
        return True

    def is_expired(self) -> bool:
        return time.time() > self.expires_at

    def is_revoked(self) -> bool:
        return self.revoked

    def get_user(self) -> str:
        return self.user


@dataclass(kw_only=True)
class OAuthServer:
    """The running provider. `user` is who signs in next; `tokens` are all that were given; `asked` are the grant types
    of the requests for tokens, as they came. A refresh token that comes a second time ends all tokens of its user."""

    user: str = "alice"
    expires_in: int = 3600
    auth_method: str = "client_secret_basic"
    tokens: list[Token] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    reused: int = 0
    """How often a refresh token came that had been exchanged before."""
    fault: int = 0
    """A status that requests for tokens are answered with instead."""
    gate: threading.Event = field(default_factory=threading.Event)
    """Requests for tokens wait for it."""

    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released with each request for tokens."""

    def __post_init__(self) -> None:
        self.gate.set()
        self._server = make_server("127.0.0.1", 0, _app(self), threaded=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def valid(self, authorization: str) -> Token | None:
        """The token that a request brings, if it is good."""
        token = authorization.removeprefix("Bearer ")
        return next((t for t in self.tokens if t.access_token == token and not (t.revoked or t.is_expired())), None)

    def expire(self) -> None:
        for token in self.tokens:
            token.expires_at = 0

    def sign_in(self, url: str) -> dict[str, str]:
        """What a person's browser would bring back after signing in at `url`: the query of the callback."""
        import httpx2

        answer = httpx2.get(url, follow_redirects=False, trust_env=False, timeout=60)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


def _app(provider: OAuthServer) -> Flask:
    app = Flask("provider")
    codes: dict[str, Code] = {}

    class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")

        def save_authorization_code(self, code: str, request: Any) -> None:
            asked = request.payload.data
            codes[code] = Code(
                code=code,
                user=request.user,
                redirect_uri=asked.get("redirect_uri", ""),
                scope=asked.get("scope", ""),
                code_challenge=asked.get("code_challenge", ""),
                code_challenge_method=asked.get("code_challenge_method", ""),
            )

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            return codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            codes.pop(authorization_code.code, None)

        def authenticate_user(self, authorization_code: Code) -> str:
            return authorization_code.user

    class RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
        INCLUDE_NEW_REFRESH_TOKEN = True
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")

        def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
            token = next((t for t in provider.tokens if t.refresh_token == refresh_token), None)
            if token is not None and token.revoked:  # used before: somebody has stolen it
                provider.reused += 1
                for other in provider.tokens:
                    other.revoked = other.revoked or other.user == token.user
            return None if token is None or token.revoked else token

        def authenticate_user(self, refresh_token: Token) -> str:
            return refresh_token.user

        def revoke_old_credential(self, refresh_token: Token) -> None:
            refresh_token.revoked = True

    class ClientGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

    class Revocation(RevocationEndpoint):  # type: ignore[misc]
        CLIENT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")

        def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
            return next((t for t in provider.tokens if token_string in (t.access_token, t.refresh_token)), None)

        def revoke_token(self, token: Token, request: Any) -> None:
            token.revoked = True

    def save_token(token: dict[str, Any], request: Any) -> None:
        provider.tokens.append(
            Token(
                user=request.user or "service",
                access_token=token["access_token"],
                refresh_token=token.get("refresh_token"),
                expires_at=time.time() + token["expires_in"],
                scope=token.get("scope", ""),
            )
        )

    app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
    server = AuthorizationServer(
        app, query_client=lambda id: Client(provider) if id == CLIENT_ID else None, save_token=save_token
    )
    server.register_grant(CodeGrant, [CodeChallenge(required=True)])
    server.register_grant(RefreshGrant)
    server.register_grant(ClientGrant)
    server.register_endpoint(Revocation)

    @app.get("/authorize")
    def authorize() -> Any:
        grant = server.get_consent_grant(end_user=provider.user)
        return server.create_authorization_response(grant_user=provider.user, grant=grant)

    @app.post("/token")
    def token() -> Any:
        provider.asked.append(request.form["grant_type"])
        provider.arrived.release()
        provider.gate.wait(30)
        if provider.fault:
            return Response(f"no, {request.form}", provider.fault)
        app.config["OAUTH2_TOKEN_EXPIRES_IN"] = dict.fromkeys(
            ("authorization_code", "refresh_token", "client_credentials"), provider.expires_in
        )
        server.load_config(app.config)
        server.register_token_generator("default", server.create_bearer_token_generator(app.config))
        return server.create_token_response()

    @app.post("/revoke")
    def revoke() -> Any:
        provider.revoked.append(request.form["token"])
        return server.create_endpoint_response("revocation")

    @app.get("/me")
    def me() -> Any:
        found = provider.valid(request.headers.get("Authorization", ""))
        return ({"error": "invalid_token"}, 401) if found is None else jsonify(user={"id": found.user})

    return app
