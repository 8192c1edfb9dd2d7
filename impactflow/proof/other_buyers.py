"""Other buyers at the same accounts, who use other programs; their purchases must never be taken for ours."""

from random import Random

from impactflow.clock import Clock
from impactflow.models import KEYLESS
from impactflow.proof.scenario import Scenario
from impactflow.proof.sellers import RULES, SELLERS
from impactflow.sandbox import Sandbox

#: The other buyers' key, where they send one.
THEIR_KEY = "another store's"
#: Metadata and customer that the other buyers send with a purchase.
_KEY = b',"metadata":{"impactflow_key":"%s"}' % THEIR_KEY.encode()
_OWN = b',"metadata":{"campaign":"spring"}'
_CUSTOMER = b',"customer_email":"ana@example.com"'


class OtherBuyers:
    """
    The other buyers of one scenario.

    Args:
        scenario: The number of buyers, and whether their purchases look like ours.
        sandbox: Where they buy.
        clock: Gives them the time.
    """

    def __init__(self, scenario: Scenario, sandbox: Sandbox, clock: Clock) -> None:
        self._scenario = scenario
        self._sandbox = sandbox
        self._clock = clock
        self._keyless = [slot for slot in scenario.slots if RULES[slot][0]["provider"] in KEYLESS]

    @property
    def are_busy(self) -> bool:
        """Whether they keep buying look-alikes; where records carry no metadata, nothing could tell these apart."""
        return self._scenario.busy and self._scenario.options.metadata == "echo" and bool(self._keyless)

    def came_before(self) -> None:
        """Make the purchases that existed before anything else happens."""
        chance = Random(f"{self._scenario.seed} strangers")
        for _ in range(self._scenario.other_purchases):
            slot = chance.choice(self._scenario.slots)
            self._buy(slot, RULES[slot][1] * (1 if self._scenario.look_alikes else 7))

    async def keep_buying(self) -> None:
        """Buy look-alikes until cancelled; from the first of them on, the account is seen to return metadata."""
        if not self.are_busy:
            return
        if self._scenario.busy_after_s:
            await self._clock.sleep(self._scenario.busy_after_s)
        chance = Random(f"{self._scenario.seed} busy")
        shows_key = self._scenario.others_show_key
        longest_s = chance.choice([60, 300]) if shows_key else 600
        first = _KEY if shows_key else _OWN
        report = [b"", _CUSTOMER] if shows_key else [_OWN, _OWN + _CUSTOMER]
        # The other buyers' requests get lost, too, and earlier ones without metadata take effect late.
        while not any(each.metadata for each in self._sandbox.books.purchases):
            self._buy(self._keyless[0], 1, first)
            await self._clock.sleep(1)
        while True:
            await self._clock.sleep(chance.uniform(1, longest_s))
            slot = chance.choice(self._keyless)
            self._buy(slot, RULES[slot][1], chance.choice(report))

    def _buy(self, slot: str, amount: int, fields: bytes = b"") -> None:
        """Send a request and ignore its result; send none where a purchase of theirs could never be taken for ours."""
        rule, _ = RULES[slot]
        if (buy := SELLERS[rule["provider"]].bought_by_others) is not None:
            with self._sandbox.exchange(buy(rule["impact"], amount, fields)):
                pass
