"""
Every error of impactflow. The errors answer one question: *did it happen?*

    ImpactError
    ├── ConfigurationError        nothing ran; the message names the variable or field to set
    ├── ProviderError             provider, operation, status, request_id
    │   ├── Refused               no, and it will not: 4xx          → failed
    │   │   └── NotFound · Unauthorized (WrongAddress) · Forbidden · IdempotencyConflict
    │   ├── NotSent               no, but it may later              → planned again, with a time
    │   │   └── RateLimited · Unavailable
    │   └── OutcomeUnknown        perhaps                           → in_doubt
    │       └── Contradiction     it seems so, but otherwise        → in_doubt, then parked
    ├── LedgerError               the ledger could not be read or written; what was committed stands
    │   └── LedgerBusy · LedgerContended · LedgerFull · LedgerRefused · LedgerTooNew
    │       · TransitionRefused · AlreadyRecorded
    └── WebhookRejected           a delivery was not accepted: nothing of it was kept

These are the provider's words. Where its records can be looked through, ``buying.sweep`` does not believe a no that was
answered (``status`` is set), except of the key (401), before it has looked. Callers catch by class. A message never
holds a key, an e-mail address or an order's content, and ends with what to do next where there is something to do.
"""

from collections.abc import Mapping
from copy import copy
from types import MappingProxyType
from typing import Any, Self


class ImpactError(Exception):
    """Anything that impactflow itself reports; its text is one line for a person."""

    #: The attributes that a program gets besides the text.
    details: Mapping[str, Any] = MappingProxyType({})


class ConfigurationError(ImpactError):
    """Nothing ran: a setting, a file or an argument is wrong. The message names it."""


class ProviderError(ImpactError):
    """
    A provider did not do the operation it was asked for.

    Args:
        message: What happened, one line.
        provider: The provider's name, as in the policy (``cnaught``), or ``wickedreports``.
        operation: The provider's own name of the operation (``submit_generic_order``).
        status: The HTTP status, if an answer came.
        request_id: The provider's name for the request, if it gave one.
    """

    def __init__(
        self, message: str, *, provider: str, operation: str, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.operation = operation
        self.status = status
        self.request_id = request_id

    def __str__(self) -> str:
        status = f" (HTTP {self.status})" if self.status is not None else ""
        return f"{self.provider} {self.operation}{status}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Support ``pickle`` and ``copy``, which do not handle keyword arguments by themselves."""
        return _made_without_init, (type(self), *self.args), vars(self)

    def with_message(self, message: str) -> Self:
        """Return the same error with another message."""
        error = copy(self)
        error.args, error.message = (message,), message
        return error


def _made_without_init(kind: type[ProviderError], *args: object) -> ProviderError:
    return kind.__new__(kind, *args)


class Refused(ProviderError):
    """The operation did not happen and will not: the provider declined (4xx)."""


class NotFound(Refused):
    """The provider knows no object with that name (404)."""


class Unauthorized(Refused):
    """The key is missing or wrong, or the account cannot pay (401, 402): its other requests will fail, too."""


class WrongAddress(Unauthorized):
    """The provider's URL lacks a resource that always exists (404): other requests there will fail, too."""


class Forbidden(Refused):
    """The key is good, but what was asked for is not allowed to the account, or not as things stand (403)."""


class IdempotencyConflict(Refused):
    """The idempotency key was used before with another body (422); the first request's effect stands."""


class NotSent(ProviderError):
    """The operation did not happen, but may later: no connection could be made, or the provider said so."""


class RateLimited(NotSent):
    """
    Too many requests (429).

    Args:
        retry_after_s: Seconds to wait, as the provider asked; None where it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        operation: str,
        retry_after_s: float | None,
        status: int | None = 429,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, provider=provider, operation=operation, status=status, request_id=request_id)
        self.retry_after_s = retry_after_s


class Unavailable(NotSent):
    """The provider is down and has said that nothing was done, or the operation was only a read."""


class OutcomeUnknown(ProviderError):
    """The operation may have happened: the answer to a write was lost, cut short or unreadable."""


class Contradiction(OutcomeUnknown):
    """
    The answer describes another purchase than was asked for; the message names it.

    Where the provider's records show no other purchase either, a person has to decide, and it is never repeated.
    """


class LedgerError(ImpactError):
    """The ledger could not be read or written; what was committed before stands."""


class LedgerBusy(LedgerError):
    """Another program holds the ledger's lock for longer than we wait."""


class LedgerContended(LedgerBusy):
    """The database gave up a transaction in favour of another one: the same may be tried again at once."""


class LedgerFull(LedgerError):
    """There is no room to write."""


class LedgerRefused(LedgerError):
    """The database rejects the user in the ledger's URL, or denies the role a permission it needs."""


class LedgerTooNew(LedgerError):
    """The ledger was written by a newer impactflow."""


class TransitionRefused(LedgerError):
    """The placement is no longer in the state that the change starts from."""


class AlreadyRecorded(LedgerError):
    """Another placement already holds this purchase of the provider's."""


#: The errors that only a person can correct, in a setting or an account: exit status 2.
MISUSES = (ConfigurationError, LedgerRefused, LedgerTooNew, Unauthorized)


class WebhookRejected(ImpactError):
    """
    A delivery was not accepted, and nothing of it was kept.

    Args:
        message: The problem, for the person who sets up the sender; it reveals nothing new to the sender.
        status: The HTTP status of the answer.
        retry_after_s: After how many seconds the sender may try again, where that would help.
    """

    def __init__(self, message: str, status: int = 400, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
