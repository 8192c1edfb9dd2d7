"""
The life of a placement, on one screen.

    held · awaiting_approval ──▶ planned ──▶ placing ──▶ placed ──▶ completed
                                    ▲ │        │ │ │        │           │
                                    │ │        │ │ └▶ failed└▶ cancelling ──▶ cancelled
                                    │ ▼        │ ▼
                      covered    cancelled     │ in_doubt ──▶ placed · planned · failed · parked
                                               └▶ planned (certainly not sent)

What is planned is covered, if enough of it was bought for other orders that are owed less by now; it is planned again
if that changes. A person approves what awaits it (planned) or rejects it (cancelled), and rules on what is parked or
failed: placed · planned · cancelled. Only what this table lists can happen: ``transitions``, which alone writes a
status, enforces it.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    """The status of a placement. ``due_at`` says when each of the open ones is due next."""

    #: Money rules say wait, or a person must correct something first; nothing was sent.
    HELD = "held"
    #: The quantity needs a person's approval; nothing was sent.
    AWAITING_APPROVAL = "awaiting_approval"
    #: Earned; to be sent from ``due_at`` on. Every earlier attempt is known to have had no effect.
    PLANNED = "planned"
    #: The intent to send is durable; it belongs to one run until ``due_at``, the lease's end.
    PLACING = "placing"
    #: It may have taken effect; looked for in the provider's records from ``due_at`` on.
    IN_DOUBT = "in_doubt"
    #: It took effect; followed from ``due_at`` on.
    PLACED = "placed"
    #: The provider has finished what was bought.
    COMPLETED = "completed"
    #: Refused for good; nothing was bought.
    FAILED = "failed"
    #: What happened cannot be decided from the evidence; a person must look. Never repeated.
    PARKED = "parked"
    #: The purchase of a refunded order that is being cancelled, and perhaps is; found out from ``due_at`` on.
    CANCELLING = "cancelling"
    #: Undone, or withdrawn before anything was bought.
    CANCELLED = "cancelled"
    #: Nothing is bought for it: it has a part of what was bought for other orders, which are owed less by now.
    COVERED = "covered"


#: The longest delay: leases and settling times are a day at most (``settings``), tracking looks once a day, a seller's
#: longer Retry-After is not waited for. A later due time was written by a clock that was ahead.
LONGEST_DELAY = timedelta(days=1)

#: The statuses in which nothing is bought or being bought, and a plan may still change.
WAITING = frozenset({Status.HELD, Status.AWAITING_APPROVAL, Status.PLANNED})

#: The statuses in which a person or a further run has something to do, before or instead of a purchase.
NEEDS_ATTENTION = (
    *(Status.PARKED, Status.FAILED, Status.HELD, Status.IN_DOUBT, Status.AWAITING_APPROVAL),
    Status.CANCELLING,
)

#: The statuses in which a purchase may be taking effect.
UNRESOLVED = (Status.PLACING, Status.IN_DOUBT)

#: The statuses of a purchase that stands: it took effect, and nothing undoes it.
STANDING = (Status.PLACED, Status.COMPLETED)

#: The statuses of a placement that was sent, and may yet turn out not to have been bought, and be planned again.
UNSURE = (*UNRESOLVED, Status.PARKED, Status.FAILED)

#: The statuses in which nothing is to be bought, and a plan may still change if nothing was sent.
WITHDRAWN = (Status.CANCELLED, Status.COVERED)

TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.HELD: frozenset({Status.PLANNED, Status.AWAITING_APPROVAL, Status.CANCELLED}),
        # To PLACED where an earlier attempt, judged to have had no effect, is answered late after all; to IN_DOUBT
        # where such an attempt turns out to have been sent later than was thought when it was judged.
        Status.AWAITING_APPROVAL: frozenset(
            {Status.PLANNED, Status.HELD, Status.CANCELLED, Status.PLACED, Status.IN_DOUBT}
        ),
        # To PLACED and IN_DOUBT likewise; to AWAITING_APPROVAL where the order changed, or the row is not what was
        # approved.
        Status.PLANNED: frozenset(
            {
                *(Status.PLACING, Status.HELD, Status.AWAITING_APPROVAL, Status.CANCELLED, Status.COVERED),
                *(Status.PLACED, Status.IN_DOUBT),
            }
        ),
        Status.PLACING: frozenset({Status.PLACED, Status.FAILED, Status.PLANNED, Status.IN_DOUBT, Status.PARKED}),
        # To FAILED where the provider said no to a request without a key, and its records show no purchase.
        Status.IN_DOUBT: frozenset({Status.PLACED, Status.PLANNED, Status.FAILED, Status.PARKED}),
        Status.PLACED: frozenset({Status.COMPLETED, Status.CANCELLING, Status.CANCELLED}),
        # To what it was before where it stands.
        Status.CANCELLING: frozenset({Status.CANCELLED, Status.PLACED, Status.COMPLETED}),
        # To PLACED likewise; to the others, and to PLACED too, by a person's ruling.
        Status.PARKED: frozenset({Status.PLACED, Status.PLANNED, Status.CANCELLED}),
        # To CANCELLED where the provider undid it afterwards.
        Status.COMPLETED: frozenset({Status.CANCELLING, Status.CANCELLED}),
        # To PLACED and IN_DOUBT likewise; to the others by a person's ruling.
        Status.FAILED: frozenset({Status.PLACED, Status.PLANNED, Status.CANCELLED, Status.IN_DOUBT}),
        # Withdrawn while it was planned or waited to be, and earned again; or answered late after all. To IN_DOUBT
        # likewise; if it then turns out not to have been bought, it is cancelled again before it would be sent.
        Status.CANCELLED: frozenset(
            {Status.PLANNED, Status.HELD, Status.AWAITING_APPROVAL, Status.PLACED, Status.IN_DOUBT}
        ),
        # To PLACED where another ledger has bought it.
        Status.COVERED: frozenset(
            {Status.PLANNED, Status.HELD, Status.AWAITING_APPROVAL, Status.CANCELLED, Status.PLACED}
        ),
    }
)

#: The statuses that runs process by themselves.
_MOVING = frozenset({Status.PLANNED, Status.PLACING, Status.IN_DOUBT, Status.PLACED, Status.CANCELLING})
#: The statuses in which nothing is left to do.
_OVER = frozenset({Status.COMPLETED, Status.CANCELLED, Status.COVERED})
#: All other statuses: nothing happens until a person does something.
WAITS_FOR_A_PERSON = frozenset(Status) - _MOVING - _OVER
