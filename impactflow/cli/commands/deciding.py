"""The commands for a person's decisions: the result of a purchase, an approval, the purchases that are ours."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import typer

from impactflow.cli.command import DONE, UNDONE, By, Json, PolicyFile, Store, ending, only, whoever_types
from impactflow.models import ProviderName

deciding_app = typer.Typer()


def _not_empty(value: str | None) -> str | None:
    """An empty text, such as a shell variable that is not set, would mean everything."""
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty: name one, or leave the option out")
    return value


PausedProvider = Annotated[ProviderName | None, typer.Option("--provider", help="Provider at which nothing is bought.")]
PausedSlot = Annotated[
    str | None,
    typer.Option("--slot", metavar="SLOT", help="Slot in which nothing is bought.", callback=_not_empty),
]
PausedStore = Annotated[
    str | None,
    typer.Option("--store", metavar="NAME", help="Store for which nothing is bought.", callback=_not_empty),
]
#: The results that a person may have found out.
_DECISIONS = ("bought", "not-bought", "given-up")


def _decided(value: str) -> str:
    if value not in _DECISIONS:
        raise typer.BadParameter(f"{value!r} is no decision: write bought, not-bought or given-up")
    return value


@deciding_app.command(
    epilog="Example: impactflow settle WR-000017 trees --as bought --ref 'U1000|2025-01-31T12:00:00.000Z'"
    "   All of a kind: impactflow settle --failed --slot trees --reason 'no such campaign' --as not-bought"
)
@ending
def settle(
    decision: Annotated[
        str,
        typer.Option(
            "--as",
            parser=_decided,
            metavar="WHAT",
            help="The outcome of the purchase: bought, not-bought (is sent again) or given-up (is cancelled).",
        ),
    ],
    order: Annotated[
        str,
        typer.Argument(help="Any name of the order; without an order, all placements that the options below choose."),
    ] = "",
    slot: Annotated[str, typer.Argument(help="The placement's slot, as the policy names it.")] = "",
    ref: Annotated[str, typer.Option(metavar="REF", help="The provider's name for the purchase.")] = "",
    failed: Annotated[bool, typer.Option("--failed", help="Choose all failed placements.")] = False,
    parked: Annotated[bool, typer.Option("--parked", help="Choose all parked placements.")] = False,
    of_slot: Annotated[
        str | None, typer.Option("--slot", metavar="SLOT", help="Choose only placements in this slot.")
    ] = None,
    reason: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="Choose only placements whose reason in `impactflow status` contains this text."
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Settle all listed placements without asking.")] = False,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The evidence; kept in the ledger.")] = "",
    by: By = "",
    store: Store = None,
    json: Json = False,
) -> int:
    """
    Record what became of parked or failed placements.

    The records are asked first: a purchase must stand there under the given ref, and one that was not bought must have
    none that carries its key. A purchase that carries no key is not seen.
    """
    from impactflow.buying.rulings import Resolution, Ruling
    from impactflow.cli.settling import Selection, settle_all, settle_one, statuses

    is_many = failed or parked or of_slot is not None or reason
    if order and is_many:
        raise typer.BadParameter("--failed, --parked, --slot and --reason are for many: leave ORDER and SLOT out")
    if order and not slot:
        raise typer.BadParameter("give the order's SLOT too: `impactflow status` lists it")
    if order:
        ruling = Ruling(order, slot, Resolution(decision), by or whoever_types(), why, ref, store)
        return settle_one(ruling, as_json=json)
    if not is_many:
        raise typer.BadParameter("give ORDER and SLOT, or for many at once --failed, --parked, --slot or --reason")
    selection = Selection(statuses(failed=failed, parked=parked), of_slot, reason, store)
    return settle_all(selection, Resolution(decision), by or whoever_types(), why, yes=yes, as_json=json)


@deciding_app.command(epilog="Example: impactflow approve WR-000017 trees --at-most 20 --why 'a wholesaler'")
@ending
def approve(
    order: Annotated[
        str, typer.Argument(help="Any name of the order; without an order, everything that awaits approval is listed.")
    ] = "",
    slot: Annotated[str, typer.Argument(help="The placement's slot, as the policy names it.")] = "",
    at_most: Annotated[
        float | None,
        typer.Option(metavar="QUANTITY", min=0, help="Buy no more than this quantity, in the unit of the list."),
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Buy nothing, unless the order changes.")] = False,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason; kept in the ledger.")] = "",
    by: By = "",
    store: Store = None,
    json: Json = False,
) -> int:
    """Approve purchases above the policy's limits, so that the next run buys them; or trim, reject or list them."""
    from impactflow.buying.approval import Answer, Decision
    from impactflow.cli import approve as approving

    if not order:
        if at_most is not None or reject or why or by:
            raise typer.BadParameter("give ORDER and SLOT too: `impactflow approve` lists them")
        return UNDONE if approving.show_awaiting(store, as_json=json) else DONE
    if not slot:
        raise typer.BadParameter("give the order's SLOT too: `impactflow approve` lists them")
    if reject and at_most is not None:
        raise typer.BadParameter("--reject buys nothing, so it takes no --at-most")
    decision = Decision.REJECT if reject else Decision.APPROVE if at_most is None else Decision.TRIM
    quantity = None if at_most is None else Decimal(str(at_most))
    approving.decide(order, slot, store, Answer(decision, by or whoever_types(), why, quantity), as_json=json)
    return DONE


@deciding_app.command(epilog="Example: impactflow pause --provider cnaught --why 'the portfolio is being changed'")
@ending
def pause(
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why nothing is to be bought; kept in the ledger.")],
    provider: PausedProvider = None,
    slot: PausedSlot = None,
    store: PausedStore = None,
    by: By = "",
    json: Json = False,
) -> int:
    """Buy nothing for now: at all, or at a provider, in a slot, for a store. Orders are read and planned as before."""
    from impactflow.cli import pausing
    from impactflow.clock import SystemClock
    from impactflow.ledger import PauseScope

    pausing.pause(PauseScope(store, provider, slot), why, by or whoever_types(), SystemClock(), as_json=json)
    return DONE


@deciding_app.command(epilog="Example: impactflow resume --provider cnaught")
@ending
def resume(
    provider: PausedProvider = None,
    slot: PausedSlot = None,
    store: PausedStore = None,
    every: Annotated[bool, typer.Option("--all", help="End every pause.")] = False,
    by: By = "",
    json: Json = False,
) -> int:
    """End the pause that has the same options, so without options the pause of everything. The next run buys."""
    from impactflow.cli import pausing
    from impactflow.clock import SystemClock
    from impactflow.ledger import PauseScope

    scope = PauseScope(store, provider, slot)
    if every and scope != PauseScope():
        raise typer.BadParameter("--all ends every pause, so it takes no --provider, --slot or --store")
    pausing.resume(None if every else scope, by or whoever_types(), SystemClock(), as_json=json)
    return DONE


@deciding_app.command(epilog="Example: impactflow dismiss polar:0b1c --why 'a test order'")
@ending
def dismiss(
    name: Annotated[str, typer.Argument(help="The name of the order or delivery, as `impactflow status` lists it.")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why nothing needs to be done; kept in the ledger.")],
    by: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the person who decides; by default the user who is logged in.")
    ] = "",
    store: Store = None,
    json: Json = False,
) -> int:
    """Remove an order or a webhook delivery that could not be read from the list; a new problem lists it again."""
    from impactflow.cli import dismiss as dismissing
    from impactflow.clock import SystemClock

    dismissing.dismiss(name, why, by or whoever_types(), store, SystemClock(), as_json=json)
    return DONE


@deciding_app.command(epilog="Example: impactflow adopt --yes")
@ending
def adopt(
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Write the purchases into the ledger; without this option they are only shown."),
    ] = False,
    from_: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day of purchases, UTC.")] = None,
    not_ours: Annotated[
        list[ProviderName] | None,
        typer.Option(
            metavar="PROVIDER", help="Vouch that no record of this provider without a name was bought for this store."
        ),
    ] = None,
    policy: PolicyFile = None,
    by: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the person who decides; by default the user who is logged in.")
    ] = "",
    json: Json = False,
) -> int:
    """Take over from the providers' records the purchases of this store that the ledger does not know."""
    from impactflow.audit import choose_window
    from impactflow.cli.adopting import run_adoption
    from impactflow.policy import load_policy
    from impactflow.settings import load_settings

    settings = load_settings()
    since = choose_window(from_, None, today=datetime.now(UTC).date()).from_ if from_ else None
    chosen = load_policy(only("--policy", policy) or settings.impactflow_policy)
    return run_adoption(
        settings, chosen, since, frozenset(not_ours or ()), by or whoever_types(), yes=yes, as_json=json
    )


@deciding_app.command(epilog="Example: impactflow forget ana@example.com")
@ending
def forget(
    email: Annotated[str, typer.Argument(help="The customer's e-mail address.")],
    yes: Annotated[bool, typer.Option("--yes", help="Forget the customer without asking.")] = False,
    by: By = "",
    json: Json = False,
) -> int:
    """
    Remove a customer's address from the ledger, and keep it out; purchases and accounts stay.

    Nothing is changed while a purchase in the customer's name is being sent, or a webhook delivery with the address
    waits.
    """
    from impactflow.cli import forgetting
    from impactflow.clock import SystemClock

    return forgetting.forget(email, by or whoever_types(), SystemClock(), yes=yes, as_json=json)
