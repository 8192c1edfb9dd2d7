"""How the ledger's tests say what they need: orders with earnings, claims, moves, and one order's story."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from impactflow.ledger import Claim, Fresh, Ledger, Move, Page, Planned, Status
from impactflow.models import (
    BrokenOrder,
    Earnings,
    Impact,
    Kind,
    Order,
    Payment,
    Placement,
    ProviderName,
    Receipt,
    Unearned,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LEASE_S = 60.0
KEYLESS, KEYED = ProviderName.ONECLICKIMPACT, ProviderName.CNAUGHT


def after(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def fresh(at: datetime = NOON, policy: str = "policy-1") -> Fresh:
    """What may be sent then, under the policy that ``plan`` plans under."""
    return Fresh.at(policy, at)


def sale(number: int | str = 1, *, names: Sequence[str] = (), **fields: Any) -> Order:
    """An order; by default it has one name, from its number."""
    return Order(
        **{
            "id": f"WR-{number}",
            "names": tuple(names) or (f"wr:WR-{number}",),
            "ordered_at": after(-3600),
            "amount": Decimal(80),
            "currency": "USD",
            "item_count": Decimal(2),
            "payments": (Payment("APPROVED"),),
            "customer_email": f"customer{number}@example.com",
        }
        | fields
    )


def trees(quantity: int | None = 1, **fields: Any) -> Impact:
    """Trees at 1ClickImpact, for the merchant; all of one quantity are twins."""
    return Impact(**{"slot": "trees", "provider": KEYLESS, "kind": Kind.PLANT_TREES, "quantity": quantity} | fields)


def offset(grams: int | None = 2500, **fields: Any) -> Impact:
    """An offset at CNaught."""
    return Impact(**{"slot": "offset", "provider": KEYED, "kind": Kind.OFFSET, "quantity": grams} | fields)


def earned(*impacts: Impact, eligible: bool = True, unearned: Sequence[Unearned] = ()) -> Earnings:
    """What an order has earned."""
    return Earnings(eligible, impacts, tuple(unearned))


def refunded() -> Earnings:
    """What a refunded order earns."""
    return earned(eligible=False, unearned=[Unearned(None, "a payment is REFUNDED")])


async def plan(
    ledger: Ledger,
    *earnings: tuple[Order, Earnings],
    broken: Sequence[BrokenOrder] = (),
    at: datetime = NOON,
    policy: str = "policy-1",
    store: str = "acme",
) -> Planned:
    """Plan one page."""
    return await ledger.plan(Page(store, earnings, tuple(broken), lambda _: refunded(), policy, "run-plan", at))


async def plan_one(ledger: Ledger, number: int = 1, impact: Impact | None = None, at: datetime = NOON) -> None:
    """Plan one order that has earned one impact, an offset by default."""
    await plan(ledger, (sale(number), earned(impact or offset())), at=at)


async def claim(
    ledger: Ledger,
    at: datetime = NOON,
    *,
    provider: ProviderName = KEYED,
    store: str = "acme",
    run_id: str = "run-1",
    exclusive: bool = False,
    lease_s: float = LEASE_S,
    policy: str = "policy-1",
) -> Placement | None:
    """Claim one placement."""
    until = at + timedelta(seconds=lease_s)
    wanted = Claim(provider, store, run_id, at, until, exclusive, fresh=fresh(at, policy))
    claimed = await ledger.record_and_claim([], wanted, 1)
    return claimed[0] if claimed else None


async def record(ledger: Ledger, move: Move) -> None:
    """Record one answer."""
    nothing = Claim(move.placement.provider, move.placement.store, move.run_id, move.at, move.at, exclusive=False)
    await ledger.record_and_claim([move], nothing, 0)


async def claim_doubts(
    ledger: Ledger, at: datetime, *, provider: ProviderName = KEYED, run_id: str = "run-2"
) -> list[Placement]:
    """Claim the due doubts."""
    return await ledger.claim_doubts(
        Claim(provider, "acme", run_id, at, at + timedelta(seconds=LEASE_S), exclusive=False)
    )


def answer(
    placement: Placement,
    to: Status = Status.PLACED,
    at: datetime = NOON,
    *,
    ref: str = "",
    from_: Status = Status.PLACING,
    due_at: datetime | None = None,
    detail: str | None = None,
) -> Move:
    """The move that an answer makes; with a receipt where it was placed."""
    receipt = Receipt(ref or f"ref-{placement.id}", 250) if to is Status.PLACED else None
    return Move(placement, from_, to, at, "run-1", detail, at if due_at is None else due_at, receipt)


async def in_doubt(ledger: Ledger, number: int = 1, impact: Impact | None = None, *, exclusive: bool = False) -> Any:
    """Plan, claim and lose the answer: the placement as it was sent."""
    impact = impact or offset()
    await plan_one(ledger, number, impact)
    sent = await claim(ledger, provider=impact.provider, exclusive=exclusive)
    assert sent is not None
    await record(ledger, answer(sent, Status.IN_DOUBT, detail="the answer was lost"))
    return sent


async def life(ledger: Ledger, name: str = "WR-1", slot: int = 0) -> dict[str, Any]:
    """One placement of an order, with its events."""
    story = await ledger.story(name)
    assert story is not None
    return story["placements"][slot]


async def path(ledger: Ledger, name: str = "WR-1", slot: int = 0) -> list[str]:
    """The statuses that a placement went through; ``=`` marks an event that changed none."""
    events = (await life(ledger, name, slot))["events"]
    return [("=" if event["from_status"] == event["to_status"] else "") + event["to_status"] for event in events]


async def counted(ledger: Ledger) -> dict[str, int]:
    """How many placements there are by status, over all providers."""
    found: dict[str, int] = {}
    for (_, status), number in (await ledger.counts()).items():
        found[status.value] = found.get(status.value, 0) + number
    return found
