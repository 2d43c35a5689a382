"""The health of connections: what an error of a source means for one, and when it is tried again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus
from uuid import UUID

MAX_FAILURES = 10
"""After so many in a row a connection is paused."""
MAX_MESSAGE = 300
MAX_HISTORY = 100
"""Entries of the history that are kept of a connection."""
MAX_LINES = 1_000
"""Lines of the log that are kept of a connection."""
MAX_LINE = 1_000
MASK = "•••"
LOOK_SECONDS = 300.0
"""How often it is looked whether a missing plugin or key is back."""
HOUR = 3_600.0


class Health(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """The last sync or delivery failed, or gave nothing that could be kept; it is tried again."""
    REAUTH = "reauth"
    """A person must connect it again."""
    PAUSED = "paused"
    """It failed too often in a row: a person must resume it."""
    PLUGIN_MISSING = "plugin_missing"
    """Its plugin is not loaded here; it goes on when the plugin is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthEntry:
    """What became of a connection's health at an instant, and why; `action` says what a person does about it."""

    id: UUID
    at: datetime
    health: Health
    code: str
    message: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of a connection's log: of at most `MAX_LINE` characters, without its secrets."""

    id: UUID
    at: datetime
    level: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What a failed sync means. `retry_seconds` is how long to wait, None: until a person did something."""

    health: Health
    failures: int
    action: str
    retry_seconds: float | None


class _Remedy(NamedTuple):
    """`base` and `cap`: seconds until it is tried again, the first time and at most."""

    action: str
    base: float = 900.0
    cap: float = 24 * HOUR
    mendable: bool = True
    """Whether a person can do something about it."""


DECLARED_CHANGED = "Change what the configuration says of the source's answers: the source changed them."
_PASSING = _Remedy("Nothing: it is tried again by itself.", 60.0, 6 * HOUR, mendable=False)
_REMEDIES: Mapping[str, _Remedy] = {
    "rate_limited": _Remedy("Nothing: it is tried again when the source allows it.", 60.0, 6 * HOUR, mendable=False),
    "config_invalid": _Remedy("Correct the configuration."),
    "permission_denied": _Remedy("Give these credentials the right to read this at the source."),
    "schema_changed": _Remedy("Update the plugin: the source changed its answers."),
    "plugin_bug": _Remedy("Report this to the plugin's author, or update the plugin."),
}
SIGN_IN_ACTION = "Connect it again, with credentials that the source accepts."
_LOOKED_FOR: Mapping[str, tuple[Health, str]] = {
    "plugin_unavailable": (Health.PLUGIN_MISSING, "Install the plugin, or allow it; it goes on by itself then."),
    "secret_unreadable": (
        Health.REAUTH,
        "Enter its secrets again, or set the key that they were sealed with and resume it.",
    ),
}
"""What is missing here, and not at the source: whether it is back is looked for every few minutes."""
_ODD: Mapping[str, str] = {
    "empty": "See whether these credentials can read any records, and which streams are chosen.",
    "refused": "See in the log why its records are refused.",
}
"""The source answered, so it is asked again when its schedule says so."""
_OF_CHECKS: Mapping[str, str] = {
    "plugin_unavailable": "Install the plugin, or allow it.",
    "rate_limited": "Try again when the source allows it.",
    "unreadable": "See why, and mend it at the source or in the configuration; or leave that stream out.",
}
HEALTHY_ACTION = "Nothing."
DISABLED = "disabled"
DISABLED_ACTION = "Nothing; or enter its secrets again, then resume it."
DELIVERY = "delivery_"
"""Leads the code of what a webhook's delivery failed with: a later one that can be read shows that it has passed."""


def diagnose(
    code: str, *, failures: int, jitter: float, retry_after: float | None = None, declared: bool = False
) -> Diagnosis:
    """What an error with that code means after `failures` others in a row. `jitter` is uniform in [0, 1); a wait is
    never shorter than `retry_after` seconds, which the source asked for. `declared`: the configuration says what the
    source's answers look like."""
    if code in _LOOKED_FOR:
        health, action = _LOOKED_FOR[code]
        wait = LOOK_SECONDS * (1 + jitter)
        return Diagnosis(health=health, failures=failures, action=action, retry_seconds=wait)
    if code == "reauth_required":
        return Diagnosis(health=Health.REAUTH, failures=failures + 1, action=SIGN_IN_ACTION, retry_seconds=None)
    if code in _ODD:
        return Diagnosis(health=Health.DEGRADED, failures=0, action=_ODD[code], retry_seconds=None)
    failures += 1
    remedy = _REMEDIES.get(code, _PASSING)
    if declared and code == "schema_changed":
        remedy = _Remedy(DECLARED_CHANGED)
    if failures >= MAX_FAILURES:
        action = f"{remedy.action} Then resume it." if remedy.mendable else "See why it fails, then resume it."
        return Diagnosis(health=Health.PAUSED, failures=failures, action=action, retry_seconds=None)
    full = min(remedy.base * 2.0 ** (failures - 1), remedy.cap)
    wait = max(full / 2 + full / 2 * jitter, retry_after or 0.0)
    return Diagnosis(health=Health.DEGRADED, failures=failures, action=remedy.action, retry_seconds=wait)


def action_after_check(code: str, *, declared: bool = False) -> str:
    """What a person does about a check that failed with that code: nothing comes of it by itself."""
    if code in _OF_CHECKS:
        return _OF_CHECKS[code]
    action = diagnose(code, failures=0, jitter=0.0, declared=declared).action
    return "Try again." if action == _PASSING.action else action


def jitter_of(id: UUID) -> float:
    """A number in [0, 1) that is drawn with the id: its last bits are random."""
    return (id.int & 0xFFFF_FFFF) / 2**32


def secret_words(secrets: Mapping[str, Any]) -> tuple[str, ...]:
    """What must not show of secrets: their texts and numbers, and each as it looks in URLs, JSON and Base64; the
    longest first."""
    words: set[str] = set()
    for text in _texts(secrets):
        if not text.strip():
            continue
        for one in {text, text.strip(), *(line for line in text.splitlines() if len(line) >= 8)}:
            plain = one.encode("utf-8", "surrogatepass")
            words |= {one, quote(plain, safe=""), quote(plain), quote_plus(plain)}
            words |= {json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1], repr(one)[1:-1]}
            words |= {base64.b64encode(plain).decode(), base64.urlsafe_b64encode(plain).decode()}
    return tuple(sorted(words, key=lambda word: (-len(word), word)))


def learn_secret(words: list[str], secret: str) -> None:
    """Makes one more secret word of them, in all its forms; others may read them meanwhile."""
    if secret not in words:
        words[:] = sorted({*words, *secret_words({"": secret})}, key=lambda word: (-len(word), word))


def blacken(text: str, words: Sequence[str]) -> str:
    """The text with every one of the secret words masked."""
    for word in tuple(words):
        text = text.replace(word, MASK)
    return text


def blackened(value: Any, words: Sequence[str] | None) -> Any:
    """A JSON value with the secret words masked in each of its texts; None: with each text masked as a whole."""
    match value:
        case str():
            return MASK if words is None else blacken(value, words)
        case Mapping():
            return {blackened(key, words or ()): blackened(part, words) for key, part in value.items()}
        case list() | tuple():
            return [blackened(part, words) for part in value]
    return value


def first_line(text: str, words: Sequence[str] = ()) -> str:
    """The first line of a message, without secrets, fit to be stored."""
    line = next((line for line in blacken(text, words).splitlines() if line.strip()), "")
    return storable(line)[:MAX_MESSAGE]


def without_middle(text: str, most: int) -> str:
    """The text in at most so many characters: what it is about stands first, what became of it last, and of a traceback
    most in its last lines."""
    head = most // 4
    return text if len(text) <= most else f"{text[:head]}…{text[len(text) - (most - head - 1) :]}"


def error_line(error: Exception) -> str:
    """What is kept of an error: the first line of its message, or else its kind."""
    return first_line(str(error)) or type(error).__name__


def storable(text: str) -> str:
    """Without what PostgreSQL takes in no text."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case bool() | None:
            return
        case int() | float():
            yield str(value)
        case Mapping():
            for part in value.values():
                yield from _texts(part)
        case list() | tuple():
            for part in value:
                yield from _texts(part)
