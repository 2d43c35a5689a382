"""The file systems of fsspec, opened with what a connection's configuration holds, and nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

import fsspec

from sortation import ConfigInvalid

WAIT_SECONDS = 30
_PORTS = {"ftp": 21, "sftp": 22}
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
_HOST_KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", *_RSA)
"""How servers prove themselves: by the key that is configured, and not by another that they have, too."""


def file_system(config: Mapping[str, Any]) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system, and the folder's path there. Raises `ConfigInvalid`, and whatever a library raises that can't
    reach its server."""
    url = urlsplit(config["url"])
    name, options = _OPTIONS[url.scheme](url, config.get("user", ""), config.get("secret", ""), config)
    try:
        made = fsspec.filesystem(name, skip_instance_cache=True, **options)
    except ImportError:
        raise ConfigInvalid(f"{url.scheme}:// needs the extra of its name: pip install 'sortation[{name}]'") from None
    if url.scheme in _PORTS:
        return made, url.path.rstrip("/") or "/"
    return made, (url.path if "+" in url.scheme else f"{url.netloc}{url.path}").strip("/")


def _ftp(url: SplitResult, user: str, secret: str, _: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "ftp", {**_server(url), "username": user, "password": secret, "timeout": WAIT_SECONDS}


def _sftp(url: SplitResult, user: str, secret: str, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    try:
        import paramiko
    except ImportError:
        return "sftp", {"host": ""}  # which says so
    if not user or not secret or not config.get("host_key"):
        raise ConfigInvalid("sftp:// needs user, secret and host_key: the password may go to another otherwise")
    algorithm, _, expected = config["host_key"].partition(" ")

    class OnlyThis(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # it has no types
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            del client
            if key.asbytes() != base64.b64decode(expected):
                raise ConfigInvalid(f"{hostname} shows another host_key than the one that is configured")

    given: dict[str, Any] = {"password": secret}
    if secret.lstrip().startswith("-----BEGIN"):
        given = {"pkey": _private_key(secret)}
    accepted = _RSA if algorithm == "ssh-rsa" else (algorithm,)
    return "sftp", {
        **_server(url),
        **given,
        "username": user,
        "host_key_policy": OnlyThis(),
        "disabled_algorithms": {"keys": [name for name in _HOST_KEYS if name not in accepted]},
        "allow_agent": False,
        "look_for_keys": False,
        "timeout": WAIT_SECONDS,
        "banner_timeout": WAIT_SECONDS,
        "auth_timeout": WAIT_SECONDS,
    }


def _private_key(text: str) -> Any:
    import paramiko

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text.strip() + "\n"))
        except (paramiko.SSHException, ValueError):
            continue
    raise ConfigInvalid("secret: this private key can't be read; one with a passphrase is not taken")


def _s3(url: SplitResult, user: str, secret: str, _: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    # Never the credentials that the machine may have: without a key, what is public.
    options: dict[str, Any] = {"key": user, "secret": secret} if user and secret else {"anon": True}
    if url.scheme != "s3":
        options["endpoint_url"] = f"{url.scheme.removeprefix('s3+')}://{url.netloc}"
    waits = {"connect_timeout": WAIT_SECONDS, "read_timeout": WAIT_SECONDS}
    return "s3", {**options, "config_kwargs": waits}


def _gs(url: SplitResult, user: str, secret: str, _: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    del url, user
    try:
        return "gs", {"token": json.loads(secret) if secret else "anon"}
    except ValueError:
        raise ConfigInvalid("secret: of gs:// it is the JSON of a service account") from None


def _az(url: SplitResult, user: str, secret: str, _: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    del url
    if not user:
        raise ConfigInvalid("az:// needs user: the account of the storage")
    return "az", {"account_name": user, **({"account_key": secret} if secret else {"anon": True})}


def _server(url: SplitResult) -> dict[str, Any]:
    try:
        port = url.port
    except ValueError:
        raise ConfigInvalid("url: there is no such port") from None
    return {"host": url.hostname, "port": port or _PORTS[url.scheme]}


_OPTIONS = {"ftp": _ftp, "sftp": _sftp, "s3": _s3, "s3+https": _s3, "s3+http": _s3, "gs": _gs, "az": _az}
