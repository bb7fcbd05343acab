"""The domain's exceptions, each documented once.

    VedetteError
    ├── NotFound        the thing named does not exist (or is not the caller's to see)
    ├── Conflict        the thing exists but its state does not allow this now
    │   └── Stale       it was changed since the caller read it (If-Match)
    ├── Invalid         the input is wrong; says what and where
    │   ├── TooLarge    the input is larger than a limit allows
    │   └── PreconditionRequired  a guarded write came without If-Match
    ├── Unauthorized    no principal: the token is missing, wrong, expired or revoked
    ├── Forbidden       the principal's role does not allow this
    ├── Unavailable     a part is away for now; ask again after `retry_after` seconds
    │   └── TooManyAttempts  the caller asked too often; the same
    ├── Transient       work failed in a way that may pass: the task is retried
    ├── Permanent       work failed in a way that will not pass: the task is not retried
    └── Interrupted     a task stops itself
        ├── Cancelled   somebody asked it to
        ├── Stopping    its worker is about to end; the task goes back to the queue
        └── LeaseLost   another worker owns the task now; nothing more may be written

`api_service.errors` maps them to statuses, `worker_service.tasks` to task states. Nobody else catches them to translate.
"""

from collections.abc import Mapping


class VedetteError(Exception):
    """Root of the tree; `detail` is one sentence for a human."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class NotFound(VedetteError):
    """The thing named does not exist, or is not the caller's to see."""


class Conflict(VedetteError):
    """The thing exists, but its present state does not allow what was asked."""


class Stale(Conflict):
    """The thing was changed since the caller read it (If-Match does not hold, RFC 9110 section 13.1.1)."""


class Invalid(VedetteError):
    """The input is wrong. `errors` says where: `{"field or place": ["what is wrong", ...]}`."""

    def __init__(self, detail: str = "", errors: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(detail)
        self.errors: dict[str, list[str]] = dict(errors or {})


class TooLarge(Invalid):
    """The input is larger than a limit allows."""


class PreconditionRequired(Invalid):
    """A guarded write came without If-Match (RFC 6585 section 3)."""


class Unauthorized(VedetteError):
    """There is no principal: the token is missing, wrong, expired or revoked."""


class Forbidden(VedetteError):
    """The principal's role does not allow this."""


class Unavailable(VedetteError):
    """A part that is needed is away for now; `retry_after` is in seconds."""

    def __init__(self, detail: str = "", retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class TooManyAttempts(Unavailable):
    """The caller asked too often; `retry_after` says when to ask again."""


class Transient(VedetteError):
    """Work failed in a way that may pass. The task is retried, after `delay` seconds if that is given."""

    def __init__(self, detail: str = "", delay: float | None = None) -> None:
        super().__init__(detail)
        self.delay = delay


class Permanent(VedetteError):
    """Work failed in a way that will not pass. The task fails at once."""


class Interrupted(VedetteError):
    """A task stops itself at a checkpoint."""


class Cancelled(Interrupted):
    """Somebody asked for the task to be cancelled."""


class Stopping(Interrupted):
    """The worker is about to end: the task is handed back, and no attempt is counted."""


class LeaseLost(Interrupted):
    """Another worker owns the task now; this one may write nothing more."""
