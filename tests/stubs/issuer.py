"""An issuer of OpenID Connect on loopback whose tokens are as a test wants them: right, or wrong in one way."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.stubs.scripted_http import Answer, Asked, ScriptedServer

CLIENT_ID = "sortation-test"


class IssuerStub:
    """`claims` are in every token; `token` signs others. `id_token` is what the token endpoint gives next, if it is
    not made of the claims and the nonce that it was asked for last."""

    def __init__(self) -> None:
        self.server = ScriptedServer()
        self.claims: dict[str, Any] = {
            "sub": "sub-1",
            "email": "ada@example.org",
            "email_verified": True,
            "name": "Ada",
        }
        self.id_token: str | None = None
        self.nonce = ""
        self.codes: list[Mapping[str, str]] = []
        self.keys = {"k1": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.curve = ec.generate_private_key(ec.SECP256R1())
        self._script()

    @property
    def url(self) -> str:
        return self.server.url

    def token(
        self,
        *,
        kid: str | None = "k1",
        typ: str | None = "JWT",
        alg: str = "RS256",
        key: Any = None,
        audience: Any = CLIENT_ID,
        **claims: Any,
    ) -> str:
        """A token with these claims over the usual ones; None leaves one out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": audience, "iat": now, "exp": now + 300, **self.claims}
        said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        headers = {"typ": typ} if kid is None else {"typ": typ, "kid": kid}
        return jwt.encode(said, key if key is not None else self.keys["k1"], algorithm=alg, headers=headers)

    def public_pem(self) -> bytes:
        """What an attacker has of the key, to be taken for a shared secret."""
        return self.keys["k1"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def fetched_keys(self) -> int:
        return len(self.server.asked("/keys"))

    def _script(self) -> None:
        self.server.script("GET", "/.well-known/openid-configuration", self._metadata)
        self.server.script("GET", "/keys", self._keys)
        self.server.script("POST", "/token", self._exchange)

    def _metadata(self, _: Asked) -> Answer:
        return Answer(
            json={
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
        )

    def _keys(self, _: Asked) -> Answer:
        written = [
            json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"}
            for kid, key in self.keys.items()
        ]
        curve = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.curve.public_key())) | {"kid": "curve"}
        return Answer(
            json={"keys": [*written, curve, {"kty": "oct", "k": "c2hhcmVk", "kid": "shared"}, {"kty": "odd"}]}
        )

    def _exchange(self, asked: Asked) -> Answer:
        self.codes.append(asked.form())
        token = self.token(nonce=self.nonce) if self.id_token is None else self.id_token
        return Answer(json={"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, traceback)
