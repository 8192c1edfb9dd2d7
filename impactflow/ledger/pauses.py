"""
Pauses: while one stands, nothing new is sent within its scope; what was claimed before is sent and recorded.

A handler for the ``Writer``, and the filters for claims. A doubt whose resolution may buy waits too. A doubt that is
resolved by reading does not. An ended pause is kept for good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, exists, or_, select

from impactflow.errors import ConfigurationError
from impactflow.ledger.states import Status
from impactflow.ledger.tables import orders, pauses, placements
from impactflow.models import KEYLESS, ProviderName


@dataclass(frozen=True, slots=True)
class PauseScope:
    """
    The placements that a pause holds back: those that match all of its parts.

    Args:
        store: The store of their orders; None for every store.
        provider: Their provider; None for every provider.
        slot: Their slot; None for every slot.
    """

    store: str | None = None
    provider: ProviderName | None = None
    slot: str | None = None

    @property
    def in_words(self) -> str:
        """The scope for a person: ``provider cnaught, slot offset``, or ``everything``."""
        parts = {"store": self.store, "provider": self.provider, "slot": self.slot}
        return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None) or "everything"

    @property
    def options(self) -> str:
        """The options by which a person names the scope: ``--provider cnaught``; empty for everything."""
        parts = {"--store": self.store, "--provider": self.provider, "--slot": self.slot}
        return " ".join(f"{name} {value}" for name, value in parts.items() if value is not None)

    @property
    def columns(self) -> dict[str, str | None]:
        """The scope as columns of ``pauses``."""
        provider = None if self.provider is None else self.provider.value
        return {"store": self.store, "provider": provider, "slot": self.slot}


@dataclass(frozen=True, slots=True)
class Pause:
    """A person's word that nothing is to be bought within a scope."""

    scope: PauseScope
    by: str
    why: str
    at: datetime

    @property
    def in_words(self) -> str:
        """The pause for a person, with the command that ends it."""
        resume = " ".join(filter(None, ("impactflow resume", self.scope.options)))
        return (
            f"Paused by {self.by} since {self.at:%Y-%m-%d %H:%M} UTC: {self.scope.in_words} ({self.why})."
            f" `{resume}` lets it go on."
        )

    def as_json(self) -> Mapping[str, Any]:
        """The pause as `--json` prints it."""
        return {**self.scope.columns, "by": self.by, "why": self.why, "at": self.at}


@dataclass(frozen=True, slots=True)
class Resumption:
    """
    A person's word that buying goes on.

    Args:
        scope: The pauses to end: those of exactly this scope; all of them where it is None.
        by: The person.
        at: The time.
    """

    scope: PauseScope | None
    by: str
    at: datetime


def pause(connection: Connection, wanted: Sequence[Pause]) -> list[None]:
    """Begin pauses; a claim that comes after this commits sees them."""
    for each in wanted:
        connection.execute(pauses.insert().values(**each.scope.columns, at=each.at, by=each.by, why=each.why))
    return [None] * len(wanted)


def resume(connection: Connection, wanted: Sequence[Resumption]) -> list[Sequence[Pause]]:
    """
    End pauses; return for each word those that it ended.

    Raises:
        ConfigurationError: No pause of the scope stands.
    """
    return [_resume(connection, each) for each in wanted]


def _resume(connection: Connection, word: Resumption) -> Sequence[Pause]:
    found = standing(connection)
    ended = [each for each in found if word.scope in {None, each.scope}]
    if word.scope is not None and not ended:
        scopes = "; ".join(each.scope.in_words for each in found)
        raise ConfigurationError(
            f"no pause of {word.scope.in_words} stands"
            + (f"; those of {scopes} do: give the options of the one to end, or --all" if scopes else "")
        )
    for scope in {each.scope for each in ended}:
        of_scope = (pauses.c[name].is_not_distinct_from(value) for name, value in scope.columns.items())
        stands = pauses.update().where(pauses.c.resumed_at.is_(None), *of_scope)
        connection.execute(stands.values(resumed_at=word.at, resumed_by=word.by))
    for each in ended:
        connection.execute(_waited(each.scope).values(buy_from=LONG_AGO))
    return ended


def _waited(scope: PauseScope) -> Update:
    """
    What a pause of this scope held back.

    An order that only webhooks report is sent on their word after a pause, as after a hold: it is marked by a hold that
    was over before any reading, so that every other order is as fresh as it was.
    """
    lots = select(orders.c.id).where(orders.c.lot.is_not(None))  # no webhook reports them
    waited = placements.update().where(
        placements.c.status == Status.PLANNED.value, placements.c.buy_from.is_(None), placements.c.order.not_in(lots)
    )
    if scope.provider is not None:
        waited = waited.where(placements.c.provider == scope.provider.value)
    if scope.slot is not None:
        waited = waited.where(placements.c.slot == scope.slot)
    if scope.store is not None:
        waited = waited.where(placements.c.order.in_(select(orders.c.id).where(orders.c.store == scope.store)))
    return waited


def standing(connection: Connection) -> Sequence[Pause]:
    """The pauses that stand, the oldest first."""
    query = select(pauses).where(pauses.c.resumed_at.is_(None)).order_by(pauses.c.id)
    return [
        Pause(
            PauseScope(row.store, None if row.provider is None else ProviderName(row.provider), row.slot),
            row.by,
            row.why,
            row.at,
        )
        for row in connection.execute(query)
    ]


LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
#: Whether a pause holds a placement back, in a query over ``placements`` and its ``orders``.
IS_PAUSED: ColumnElement[bool] = exists().where(
    pauses.c.resumed_at.is_(None),
    or_(pauses.c.store.is_(None), pauses.c.store == orders.c.store),
    or_(pauses.c.provider.is_(None), pauses.c.provider == placements.c.provider),
    or_(pauses.c.slot.is_(None), pauses.c.slot == placements.c.slot),
)
#: Whether a pause holds back the resolution of a placement's doubt: the provider resolves it by selling again.
IS_DOUBT_PAUSED: ColumnElement[bool] = (
    placements.c.provider.not_in([name.value for name in sorted(KEYLESS)]) & IS_PAUSED
)
