"""A large ledger: planning and claiming take about as many steps of the database as in a small one."""

from contextlib import contextmanager

from ledger_helpers import KEYED, LEASE_S, after, earned, fresh, offset, plan, sale
from ledgers import new_ledger
from sqlalchemy import event
from sqlalchemy.pool import Pool

from impactflow.ledger import Claim, Ledger

PAGE = 500
#: SQLite reports whenever it has done this many steps of its virtual machine.
STEPS = 100


@contextmanager
def counting_steps():
    """Count the steps of all SQLite connections that are opened meanwhile, in hundreds."""
    counted = []

    def count(connection, _):
        connection.set_progress_handler(lambda: counted.append(1), STEPS)

    event.listen(Pool, "connect", count)
    try:
        yield counted
    finally:
        event.remove(Pool, "connect", count)


async def plan_page(ledger, number):
    """Plan a page of orders, each of another customer."""
    orders = [(sale(number * PAGE + place), earned(offset())) for place in range(PAGE)]
    await plan(ledger, *orders, at=after(number))


async def steps_of_a_page(tmp_path, pages):
    """The steps of planning, and those of claiming, one page more in a ledger of so many pages."""
    with counting_steps() as steps, Ledger.open(new_ledger(tmp_path / f"{pages}.db")) as ledger:
        for number in range(pages):
            await plan_page(ledger, number)
        before = len(steps)
        await plan_page(ledger, pages)
        planned = len(steps)
        at = after(pages + 1)
        wanted = Claim(KEYED, "acme", "run-1", at, after(LEASE_S), exclusive=True, fresh=fresh(at))
        assert len(await ledger.record_and_claim([], wanted, PAGE)) == PAGE
        return planned - before, len(steps) - planned


async def test_planning_and_claiming_cost_the_same_in_a_large_ledger(tmp_path):
    """No statement walks through all orders or placements there are; a deeper index may take some steps more."""
    small, large = await steps_of_a_page(tmp_path, 1), await steps_of_a_page(tmp_path, 12)
    for few, many in zip(small, large, strict=True):
        assert few > PAGE / STEPS
        assert many < 1.3 * few
