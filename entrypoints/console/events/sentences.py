"""What an event says in words: its type and payload, without who and when.

An event of a type that has no words here is shown by its type's name: plugins' and later releases' are, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.domain.events import EventType

Payload = Mapping[str, Any]
_MAX_LISTED = 8


def sentence(type: str, payload: Payload) -> str:
    """In English, with a full stop. Whatever the payload lacks is left out."""
    told, payload = _TOLD.get(type), {name: value for name, value in payload.items() if value not in (None, "")}
    if told is None:
        return f"{type.replace('_', ' ').capitalize()}."
    said = told if isinstance(told, str) else told(payload)
    return f"{said}."


def _count(number: object, one: str, several: str = "") -> str:
    """`1 record`, `2,000 records`; `some records` where the number is none."""
    several = several or f"{one}s"
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        return f"some {several}"
    return f"1 {one}" if number == 1 else f"{number:,} {several}"


def _list(names: object) -> str:
    """`a, b and c`, the first few of many; empty for none."""
    if not isinstance(names, list | tuple) or not names:
        return ""
    shown = [str(name).replace("_", " ") for name in names[:_MAX_LISTED]]
    if len(names) > _MAX_LISTED:
        shown.append(f"{len(names) - _MAX_LISTED} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _and(said: str, lead: str, value: object) -> str:
    """The sentence with a further part, where there is something to tell."""
    told = isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
    return f"{said}{lead}{value}" if told else said


def _share(value: object) -> str:
    return f"{value * 100:.1f} %" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _duration(seconds: object) -> str:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return ""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return _count(int(seconds // size), unit)
    return _count(int(seconds), "second")


def _tidings(payload: Payload) -> str:
    """What an import or a delivery brought."""
    parts = [f"{payload[name]:,} {word}" for name, word in _BROUGHT if isinstance(payload.get(name), int)]
    return ", ".join(parts)


_BROUGHT = (("inserted", "new"), ("known", "known already"), ("refused", "refused"), ("held", "held"))


def _changed(what: str) -> Callable[[Payload], str]:
    def told(payload: Payload) -> str:
        return _and(f"{what} was changed", ": ", _list(payload.get("changed")))

    return told


def _connection_changed(payload: Payload) -> str:
    changed = payload.get("changed")
    if changed == ["sign_in"]:
        return "Somebody signed in at the source of a connection"
    if "overlap_seconds" in payload:
        kept = _duration(payload["overlap_seconds"])
        serves = "the former ones ended at once" if kept == "0 seconds" else f"the former one serves on for {kept}"
        return f"A connection's webhook secret was changed; {serves}"
    said = _changed("A connection")(payload)
    return _and(said, "; secrets entered or removed: ", _list(payload.get("secrets")))


def _health(said: str) -> Callable[[Payload], str]:
    def told(payload: Payload) -> str:
        code = payload.get("code")
        return f"{said} ({code.replace('_', ' ')})" if isinstance(code, str) and code != "ok" else said

    return told


def _with(said: str, lead: str, name: str) -> Callable[[Payload], str]:
    """The sentence, and behind `lead` that field of the payload."""
    return lambda payload: _and(said, lead, payload.get(name))


def _member(said: str) -> Callable[[Payload], str]:
    return lambda payload: _and(said, " as ", payload.get("role"))


def _member_changed(payload: Payload) -> str:
    return _and(_and("A member's role was changed", " from ", payload.get("before")), " to ", payload.get("role"))


def _key_created(payload: Payload) -> str:
    scopes = payload.get("scopes")
    return f"An API key was made with {_count(len(scopes) if isinstance(scopes, list) else None, 'permission')}"


def _key_rotated(payload: Payload) -> str:
    kept = _duration(payload.get("overlap_seconds"))
    return "An API key was replaced" + (f"; the former one ends after {kept}" if kept else "")


def _processed(payload: Payload) -> str:
    stage, status = payload.get("stage"), payload.get("status")
    if status == "needs_review":
        return "A record was sent to review"
    said = "A record could not be decided" if status == "failed" else "A record was decided"
    by = {"rules": "by a rule", "similarity": "by similarity", "llm": "by the LLM", "human": "by a person"}
    said = f"{said} {by[stage]}" if isinstance(stage, str) and stage in by else said
    return _and(said, ", confidence ", _share(payload.get("confidence")))


_UPDATED = {
    "edited": "A record was edited",
    "posted": "A pending record was booked",
    "undone": "A record was put back as it was before a run of rules",
}


def _standing(said: str) -> Callable[[Payload], str]:
    def told(payload: Payload) -> str:
        found = _and(said, ": precision ", _share(payload.get("precision")))
        return _and(found, ", promised ", _share(payload.get("promise")))

    return told


def _promise(said: str) -> Callable[[Payload], str]:
    def told(payload: Payload) -> str:
        named = f"{said} ({payload['stage']})" if isinstance(payload.get("stage"), str) else said
        checked = payload.get("checked")
        found = _and(named, ": precision ", _share(payload.get("precision")))
        return f"{found} of {_count(checked, 'spot check')}" if isinstance(checked, int) else found

    return told


def _proposed(said: str) -> Callable[[Payload], str]:
    def told(payload: Payload) -> str:
        if not isinstance(payload.get("support"), int):
            return said
        return f"{said}: {payload.get('agreeing', 0)} of {payload['support']} answers agree"

    return told


def _rule_created(payload: Payload) -> str:
    return "A proposed rule was accepted" if payload.get("proposal_id") else "A rule was added"


def _run(said: str, *names: str) -> Callable[[Payload], str]:
    def told(payload: Payload) -> str:
        counted = [f"{payload[name]:,} {name}" for name in names if isinstance(payload.get(name), int)]
        return f"{said}: {', '.join(counted)}" if counted else said

    return told


def _moved(said: str) -> Callable[[Payload], str]:
    def told(payload: Payload) -> str:
        named = _and(said, ": ", payload.get("key"))
        counts = [_count(n, name.rstrip("s")) for name, n in payload.items() if isinstance(n, int) and n]
        return _and(named, ", with ", ", ".join(counts))

    return told


def _access(payload: Payload) -> str:
    now = payload.get("now")
    now = now if isinstance(now, Mapping) else {}
    said = _and("What the tenant may do has changed", ": plan ", now.get("plan"))
    return _and(said, ", access ", str(now.get("access", "")).replace("_", " "))


def _subscription(said: str) -> Callable[[Payload], str]:
    def told(payload: Payload) -> str:
        now = payload.get("now")
        status = now.get("status") if isinstance(now, Mapping) else None
        return _and(said, ": ", str(status or "").replace("_", " "))

    return told


def _exported(payload: Payload) -> str:
    if payload.get("what") == "records":
        return f"{_count(payload.get('records'), 'record').capitalize()} went out as a file"
    whose = "a person" if payload.get("what") == "person" else "this tenant"
    return f"What is kept of {whose} was given out by the operator"


def _signed_in(payload: Payload) -> str:
    via = payload.get("via")
    return "Somebody signed in by password" if via == "local" else _and("Somebody signed in", " by ", via)


def _entered(payload: Payload) -> str:
    said = _and("The operator came in to help", " as ", payload.get("role"))
    if isinstance(payload.get("minutes"), int):
        said += f" for {_count(payload['minutes'], 'minute')}"
    reason = payload.get("reason")
    return _and(said, ": ", reason.rstrip(".") if isinstance(reason, str) else "")


def _sessions(payload: Payload) -> str:
    ended = payload.get("sessions")
    return "Somebody signed out" if ended in (None, 1) else f"{_count(ended, 'session').capitalize()} ended"


def _usage(payload: Payload) -> str:
    percent, meter = payload.get("percent"), payload.get("meter")
    used = f"{percent} %" if isinstance(percent, int) and percent >= 0 else "Much"
    named = meter.replace("_", " ") if isinstance(meter, str) else "usage"
    return _and(f"{used} of what the plan has of {named} for the month is used", ", of ", payload.get("limit"))


def _payment(payload: Payload) -> str:
    amount = " ".join(payload[name] for name in ("total", "currency") if isinstance(payload.get(name), str))
    return _and(_and("A payment was noted", ": ", amount), ", paid until ", payload.get("until"))


def _import_undone(payload: Payload) -> str:
    if not isinstance(payload.get("removed"), int):
        return "An import was undone"
    return f"An import was undone: {_count(payload['removed'], 'record')} removed, {payload.get('kept', 0)} kept"


def _received(said: str) -> Callable[[Payload], str]:
    return lambda payload: _and(said, ": ", _count(payload["bytes"], "byte") if "bytes" in payload else "")


def _failed(said: str) -> Callable[[Payload], str]:
    def told(payload: Payload) -> str:
        reason = payload.get("reason") or payload.get("error")
        return _and(said, ": ", reason.rstrip(".") if isinstance(reason, str) else "")

    return told


def _done(said: str) -> Callable[[Payload], str]:
    return lambda payload: _and(said, ": ", _tidings(payload))


def _receipt_changed(payload: Payload) -> str:
    said = "A receipt was read" if payload.get("change") == "read" else "A receipt was changed"
    return _and(said, ": ", _list(payload.get("fields")))


def _queue(payload: Payload) -> str:
    said = f"{_count(payload.get('open'), 'record').capitalize()} wait for review"
    return _and(said, ", more than ", payload.get("limit"))


def _job_dead(payload: Payload) -> str:
    return _failed(_and("A job is dead", " in ", payload.get("stream")))(payload)


def _approved(payload: Payload) -> str:
    return "A person corrected a record's category" if payload.get("verdict") == "override" else "A record was approved"


_T = EventType
_TOLD: Mapping[str, str | Callable[[Payload], str]] = {
    _T.TENANT_CREATED: "This tenant was made",
    _T.TENANT_CHANGED: _changed("The tenant"),
    _T.KEY_CREATED: _key_created,
    _T.KEY_REVOKED: "An API key was revoked",
    _T.KEY_ROTATED: _key_rotated,
    _T.MEMBER_INVITED: _member("Somebody was invited"),
    _T.INVITATION_REVOKED: "An invitation was withdrawn",
    _T.MEMBER_JOINED: _member("Somebody joined"),
    _T.MEMBER_CHANGED: _member_changed,
    _T.MEMBER_REMOVED: "A member was removed",
    _T.MEMBER_REFUSED: "Somebody could not become a member: the plan has no seat left",
    _T.SIGNED_IN: _signed_in,
    _T.SIGN_IN_FAILED: "Somebody failed to sign in",
    _T.ACCOUNT_LOCKED: _with("An account was locked after too many failures", ", until ", "until"),
    _T.SESSION_ENDED: _sessions,
    _T.PASSWORD_CHANGED: _with("A password was changed", ", by ", "by"),
    _T.SECOND_FACTOR_ADDED: "A second factor was set up",
    _T.SECOND_FACTOR_REMOVED: "A second factor was removed",
    _T.RECOVERY_CODE_USED: lambda p: f"A recovery code was used; {_count(p.get('left'), 'code')} left",
    _T.IDENTITY_LINKED: _with("A provider signs somebody in from now on", ": ", "via"),
    _T.IDENTITY_UNLINKED: _with("A provider signs somebody in no more", ": ", "via"),
    _T.PASSWORD_LINK_MADE: "A link that sets a password was made",
    _T.PERSON_ERASED: "A person is erased",
    _T.OPERATOR_ENTERED: _entered,
    _T.OPERATOR_READ: "The operator read this log",
    _T.EXPORTED: _exported,
    _T.CATEGORY_CREATED: _with("A category was added", ": ", "key"),
    _T.CATEGORY_CHANGED: _changed("A category"),
    _T.CATEGORY_DELETED: _moved("A category was deleted"),
    _T.CATEGORY_MERGED: _moved("A category was merged into another"),
    _T.CONNECTION_CREATED: _with("A connection was added", ": ", "connector"),
    _T.CONNECTION_CHANGED: _connection_changed,
    _T.CONNECTION_DELETED: "A connection was deleted",
    _T.CONNECTION_DISABLED: "A connection was disabled; its records stay",
    _T.CONNECTION_HEALTHY: _health("A connection works"),
    _T.CONNECTION_DEGRADED: _health("A connection has trouble, and is tried again"),
    _T.CONNECTION_REAUTH: _health("A connection waits for a person to connect it again"),
    _T.CONNECTION_PAUSED: _health("A connection is paused"),
    _T.CONNECTION_PLUGIN_MISSING: _health("A connection waits for its plugin"),
    _T.IMPORT_RECEIVED: _received("A file or a sync's records came in"),
    _T.IMPORT_DONE: _done("An import is done"),
    _T.IMPORT_FAILED: _failed("An import failed"),
    _T.IMPORT_UNDONE: _import_undone,
    _T.WEBHOOK_RECEIVED: _received("A delivery came in"),
    _T.WEBHOOK_DONE: _done("A delivery was read"),
    _T.WEBHOOK_FAILED: _failed("A delivery could not be read"),
    _T.INGESTED: "A record came in",
    _T.UPDATED: lambda p: _UPDATED.get(str(p.get("change")), "A record was changed"),
    _T.PROCESSED: _processed,
    _T.DELETED: "A record was deleted",
    _T.RECORDS_EXPIRED: lambda p: f"{_count(p.get('records'), 'record').capitalize()} were older than they are kept",
    _T.TX_APPROVED: _approved,
    _T.APPROVAL_WITHDRAWN: "An answer was withdrawn",
    _T.RULE_CREATED: _rule_created,
    _T.RULE_CHANGED: _changed("A rule"),
    _T.RULE_DELETED: "A rule was deleted",
    _T.RULE_DEMOTED: _standing("A rule only suggests from now on, since it was overridden too often"),
    _T.RULE_PROVED: _standing("A rule is proved, and acts from now on"),
    _T.RULE_PROPOSED: _proposed("A rule is proposed"),
    _T.PROPOSAL_REJECTED: _proposed("A proposed rule was rejected"),
    _T.RULE_RUN_DONE: _run("A run of rules is done", "seen", "changed", "skipped"),
    _T.RULE_RUN_UNDONE: _run("A run of rules was undone", "restored", "kept"),
    _T.PROMISE_AT_RISK: _promise("A stage decides less alone, since its promise is at risk"),
    _T.PROMISE_KEPT: _promise("A stage keeps its promise"),
    _T.PROMISE_RESET: _promise("A stage was given a fresh start by a person"),
    _T.EVALUATION_DONE: _with("An evaluation is done", ", of so many records: ", "test"),
    _T.SECRETS_ROTATED: lambda p: f"{_count(p.get('values'), 'secret').capitalize()} were sealed anew",
    _T.ORDER_BEGUN: _with("A plan was chosen", ": ", "plan"),
    _T.SUBSCRIPTION_CHANGED: _subscription("The subscription changed"),
    _T.SUBSCRIPTION_REPAIRED: _subscription("The subscription was found to be otherwise than we knew"),
    _T.SUBSCRIPTIONS_OVERLAP: "There are several subscriptions at once",
    _T.ACCESS_CHANGED: _access,
    _T.PLAN_COMPED: _with("The operator gave the tenant a plan", ": ", "plan"),
    _T.PAYMENT_NOTED: _payment,
    _T.AGREEMENT_ENDED: _with("The agreement by hand was ended", ": ", "reason"),
    _T.USAGE_NOTICED: _usage,
    _T.USAGE_DOUBTFUL: lambda p: f"The usage of {_count(p.get('records'), 'record')} may not have been reported",
    _T.RECORDS_HELD: lambda p: f"{_count(p.get('records'), 'record').capitalize()} wait: the plan has no room for them",
    _T.RECORDS_RESUMED: lambda p: f"{_count(p.get('records'), 'record').capitalize()} wait no longer",
    _T.RECEIPT_ADDED: _received("A receipt was added"),
    _T.RECEIPT_CHANGED: _receipt_changed,
    _T.RECEIPT_LINKED: "A receipt was linked to a record",
    _T.RECEIPT_UNLINKED: "A receipt is of that record no more",
    _T.RECEIPT_DELETED: lambda p: (
        "A receipt was older than it is kept" if p.get("expired") else "A receipt was deleted"
    ),
    _T.REPORT_DEFINED: _with("A report was defined", ": ", "kind"),
    _T.REPORT_REDEFINED: _changed("A report's definition"),
    _T.REPORT_UNDEFINED: _with("A report's definition was removed", ": ", "kind"),
    _T.REPORT_GENERATED: _with("A report is made", ": ", "kind"),
    _T.REPORT_FAILED: _failed("A report could not be made"),
    _T.QUEUE_OVER_LIMIT: _queue,
    _T.ENDPOINT_CREATED: _with("A place that is told of things was added", ": ", "kind"),
    _T.ENDPOINT_CHANGED: _changed("A place that is told of things"),
    _T.ENDPOINT_DELETED: "A place that is told of things was deleted",
    _T.ENDPOINT_DISABLED: _with("A place is told of things no more", ": ", "reason"),
    _T.ENDPOINT_ENABLED: "A place is told of things again",
    _T.JOB_DEAD: _job_dead,
    _T.JOB_REPLAYED: "A dead job was queued again",
}


def has_words(type: EventType) -> bool:
    return type in _TOLD
