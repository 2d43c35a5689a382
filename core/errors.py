"""Every error of the domain, in one place. The docstring is the default message; `code` is stable and public."""

from __future__ import annotations

from typing import Any, ClassVar


class SortationError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    """The HTTP status that entry points answer with; the meaning, not the transport, decides it."""

    def __init__(self, message: str | None = None, **details: Any) -> None:
        super().__init__(message or type(self).__doc__)
        self.details = details


class Invalid(SortationError):
    """What was sent is not valid."""

    code = "invalid"
    status = 422


class Unauthenticated(SortationError):
    """Send a valid API key as 'Authorization: Bearer ...'."""

    code = "unauthenticated"
    status = 401


class SignInFailed(Unauthenticated):
    """The e-mail address or the password is wrong, or the account is locked for some minutes."""

    code = "sign_in_failed"


class CodeWrong(Unauthenticated):
    """This code is wrong, was used already, or the account is locked for some minutes."""

    code = "code_wrong"


class LinkInvalid(Invalid):
    """This link was used already, is too old, or is not one of ours."""

    code = "link_invalid"


class Forbidden(SortationError):
    """This credential does not carry the permission that is needed."""

    code = "forbidden"
    status = 403


class NotFound(SortationError):
    """There is no such thing here."""

    code = "not_found"
    status = 404


class Conflict(SortationError):
    """The state of the thing does not allow this."""

    code = "conflict"
    status = 409


class VersionMismatch(SortationError):
    """Somebody changed this meanwhile; read it again, then send the change with its new ETag."""

    code = "version_mismatch"
    status = 412


class AlreadyDecided(Conflict):
    """Somebody decided this already."""

    code = "already_decided"


class IdempotencyReplay(SortationError):
    """A request with this Idempotency-Key was already carried out."""

    code = "idempotency_replay"
    status = 409


class IdempotencyMismatch(Conflict):
    """This Idempotency-Key was used for a different request."""

    code = "idempotency_mismatch"


class UnreadableFile(Invalid):
    """The file could not be read."""

    code = "unreadable_file"


class TooLarge(SortationError):
    """This is larger than it may be."""

    code = "payload_too_large"
    status = 413


class UnknownFormat(Invalid):
    """No connector recognises this file."""

    code = "unknown_format"


class RuleInvalid(Invalid):
    """The rule is not valid."""

    code = "rule_invalid"


class ConfirmNeeded(Conflict):
    """This rule contradicts what people decided, or never gets a say; see errors, and send it with confirm=true."""

    code = "confirm_needed"


class PluginUnavailable(SortationError):
    """The plugin that this needs is not loaded here."""

    code = "plugin_unavailable"
    status = 409


class PluginBug(SortationError):
    """The plugin broke the contract, or broke down."""

    code = "plugin_bug"
    status = 502


class ConfigInvalid(Invalid):
    """The source does not accept this configuration."""

    code = "config_invalid"


class ReauthRequired(SortationError):
    """The source no longer accepts these credentials: connect it again."""

    code = "reauth_required"
    status = 409


class PermissionDenied(SortationError):
    """The source refuses this to these credentials."""

    code = "permission_denied"
    status = 409


class WebhookRefused(SortationError):
    """This delivery is not taken: its address, its signature or its time is not right."""

    code = "webhook_refused"
    status = 401


class CursorInvalid(SortationError):
    """The source no longer knows this cursor: it is to be read from the beginning."""

    code = "cursor_invalid"
    status = 409


class SchemaChanged(SortationError):
    """The source's answers are no longer what this connector knows."""

    code = "schema_changed"
    status = 502


class SecretUnreadable(SortationError):
    """These secrets can't be opened with the keys that are set: enter them again."""

    code = "secret_unreadable"
    status = 409


class Transient(SortationError):
    """A passing fault: the same may succeed later."""

    code = "transient"
    status = 503


class RateLimited(Transient):
    """The source asks to wait; `retry_after` in the details has the seconds, if it says how long."""

    code = "rate_limited"


class LearnedMeanwhile(Transient):
    """Something was learned just then; try again."""

    code = "learned_meanwhile"


class WorkerLost(SortationError):
    """Each worker that had this job was lost with it."""

    code = "worker_lost"


class LeaseLost(SortationError):
    """Another worker took this job over; what this one did is discarded."""

    code = "lease_lost"
    status = 409


class AlreadyRunning(Conflict):
    """Another instance is running on this data directory."""

    code = "already_running"


class StartFailed(SortationError):
    """A server that this needs did not start."""

    code = "start_failed"
    status = 503


class TooLittleHistory(Invalid):
    """People have decided too few records yet for this to tell anything."""

    code = "too_little_history"


class LlmUnavailable(Transient):
    """The language model cannot be reached now; try again later."""

    code = "llm_unavailable"


class LlmCapReached(SortationError):
    """The tenant's monthly LLM cap is reached."""

    code = "llm_cap_reached"
    status = 409


class LlmRefused(SortationError):
    """The language model's provider refuses this request; check its key, model and settings."""

    code = "llm_refused"
    status = 502


class PaymentsUnavailable(Transient):
    """Who takes the payments cannot be reached now; try again later."""

    code = "payments_unavailable"


class PaymentsRefused(SortationError):
    """Who takes the payments refuses this; check its key and its prices."""

    code = "payments_refused"
    status = 502


class ReadOnly(SortationError):
    """Nothing can be changed here until the subscription is paid: see billing."""

    code = "read_only"
    status = 402


class LimitReached(SortationError):
    """The plan holds no more of these: see billing."""

    code = "limit_reached"
    status = 402


class EmbeddingsUnavailable(Transient):
    """What embeds texts cannot be reached now; try again later."""

    code = "embeddings_unavailable"


class EmbeddingsRefused(SortationError):
    """The provider of embeddings refuses this request; check its key, model and settings."""

    code = "embeddings_refused"
    status = 502
