"""
The persons who approve what exceeds the policy's limit, and an intruder who writes into the ledger's database.

A person looks, thinks for a while and decides about what they saw. Meanwhile orders change, and another person decides
too. The persons remember their approvals themselves, for the comparison in the end.
"""

from collections.abc import Iterable, Mapping
from random import Random

from sqlalchemy import Engine

from impactflow.clock import Clock
from impactflow.errors import TransitionRefused
from impactflow.ledger import Approval, Awaiting, Ledger, Status
from impactflow.ledger.tables import placements
from impactflow.proof.process import Process, enter
from impactflow.proof.scenario import Scenario
from impactflow.proof.sellers import RULES
from impactflow.proof.verdict import Place, place

#: How often each person looks.
_ROUNDS = 6


class Approvers:
    """
    The persons of one scenario.

    Args:
        scenario: Who the persons are, and what they are asked about.
        engine: The ledger's database.
        clock: Gives the persons the time.

    Attributes:
        decisions: The decisions about each placement, in turn: a quantity, or None where it was rejected.
    """

    def __init__(self, scenario: Scenario, engine: Engine, clock: Clock) -> None:
        self._scenario = scenario
        self._engine = engine
        self._clock = clock
        self.decisions: dict[Place, list[int | None]] = {}

    async def decide(self, name: str) -> None:
        """Look now and then, and decide about some of the placements that await approval."""
        enter(Process())
        chance, ledger = Random(name), Ledger(self._engine)
        await self._clock.sleep(self._scenario.decide_after_s)
        for _ in range(_ROUNDS):
            await self._clock.sleep(chance.uniform(0, 120))
            asked = await ledger.awaiting()
            await self._clock.sleep(chance.uniform(0, 60))
            for each in asked:
                if chance.randrange(4):
                    await self._decide(ledger, each, chance, name)

    async def vandalize(self) -> None:
        """Write ten times the quantity into placements that may be sent next and that a person is asked about."""
        if self._scenario.vandal_after_s is None:
            return
        await self._clock.sleep(self._scenario.vandal_after_s)
        chosen = placements.c.approval_limit.is_not(None) & (placements.c.attempts == 0)
        with self._engine.begin() as connection:
            connection.execute(
                placements.update()
                .where(chosen, placements.c.status == Status.PLANNED)
                .values(quantity=10 * placements.c.quantity)
            )

    def expected(self) -> Mapping[Place, int]:
        """The purchases that must exist because they were approved, of certain sales; the last decision counts."""
        return {where: words[-1] for where, words in self._certain().items() if words[-1] is not None}

    def rejected(self) -> frozenset[Place]:
        """The places that need no purchase because the last decision about them was no."""
        return frozenset(where for where, words in self.decisions.items() if words[-1] is None)

    def findings(self, bought: Iterable[tuple[Place, int]], awaiting: Iterable[Awaiting]) -> list[str]:
        """
        Report each error in one line.

        Args:
            bought: Order, slot and quantity of every purchase.
            awaiting: The placements that await approval in the end.
        """
        asked_again = [where for where, words in self._certain().items() if len(words) > 1]
        asked_again += [where for each in awaiting if (where := place(each.order, each.slot)) in self._certain()]
        denied = {where for where, words in self._certain().items() if words[-1] is None}
        unapproved = [
            (where, quantity)
            for where, quantity in bought
            if where[1] in self._scenario.asks_above
            and quantity > self._scenario.asks_above[where[1]] * RULES[where[1]][1]
            and quantity not in self.decisions.get(where, ())
        ]
        return [
            *(f"bought without approval: {where}, {quantity}" for where, quantity in unapproved),
            *(f"bought in spite of a no: {where}, {quantity}" for where, quantity in bought if where in denied),
            *(f"asked again though nothing has changed: {where}" for where in asked_again),
        ]

    def _certain(self) -> Mapping[Place, list[int | None]]:
        """The decisions about sales that nothing changes afterwards."""
        if self._scenario.vandal_after_s is not None:
            return {}
        certain = {f"WR-{sale.number}" for sale in self._scenario.sales if sale.certain}
        return {where: words for where, words in self.decisions.items() if where[0] in certain}

    async def _decide(self, ledger: Ledger, each: Awaiting, chance: Random, name: str) -> None:
        quantity = chance.choice([each.quantity, each.quantity, chance.randint(1, each.quantity), None])
        quantity = each.quantity if quantity and each.was_tried else quantity
        approval = Approval(each, quantity, name, "", self._clock.now(), "a person")
        try:
            await ledger.decide(approval)
        except TransitionRefused:
            return
        self.decisions.setdefault(place(each.order, each.slot), []).append(quantity)
