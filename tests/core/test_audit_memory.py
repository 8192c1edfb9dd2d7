"""
The audit of many purchases in little memory: pages stream, and a bit for each placement stays.

For another number than the suite's, from the project's folder:
``PYTHONPATH=tests .venv/bin/python tests/core/test_audit_memory.py 100000``.
"""

import asyncio
import json
import resource
import sys
import time
import tracemalloc
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from virtual_time import START, VirtualClock, VirtualLoop
from world import RULE_OF, make_world, policy_of

from impactflow.accounts import NOT_HALTED
from impactflow.audit import Audit, choose_window
from impactflow.ledger.tables import orders, placements
from impactflow.models import Kind, ProviderName
from impactflow.sandbox.books import Purchase
from impactflow.sandbox.messages import iso_millis
from impactflow.sandbox.oneclickimpact import Impact

ONECLICK = ProviderName.ONECLICKIMPACT


def fill(world, run, count):
    """So many purchases on record at both sides, a millisecond apart; every thousandth is lost at the provider."""
    api = world.sandbox._lines[ONECLICK].api
    rows = []
    for number in range(1, count + 1):
        at = START - timedelta(days=1) + timedelta(milliseconds=number)
        key, time_utc = f"impactflow{number:040}", iso_millis(at)
        metadata = json.dumps({"order_id": f"WR-{number}", "impactflow_key": key})
        ref = f"U1000|{time_utc}"
        if number % 1000:
            purchase = Purchase(ONECLICK, Kind.PLANT_TREES, 1, ref, at, metadata, at)
            api._own.append(Impact(time_utc, purchase, None))
        rows.append((number, key, ref, at))
    with run.ledger._engine.begin() as connection:
        connection.execute(
            orders.insert(),
            [
                {"id": number, "store": "acme", "order_id": f"WR-{number}", "ordered_at": at}
                | {"eligible": True, "digest": ""}
                for number, _, _, at in rows
            ],
        )
        bought = {"slot": "trees", "provider": ONECLICK, "kind": "plant_trees", "quantity": 1, "unit": "tree"}
        bought |= {"options": "{}", "on_behalf": False, "status": "placed", "attempts": 1, "checks": 0}
        connection.execute(
            placements.insert(),
            [
                bought
                | {"order": number, "key": key, "ref": ref, "planned_at": at, "attempted_at": at}
                | {"placed_at": at, "placed_on": at.date()}
                for number, key, ref, at in rows
            ],
        )


async def audit(folder, count, *, traced):
    """Audit so many purchases: how many disagree, the seconds it took, and the most bytes that it had at once."""
    world = make_world(VirtualClock(), f"sqlite:///{folder}/ledger.db", policy=policy_of(RULE_OF[ONECLICK]))
    async with world.run() as run:
        fill(world, run, count)
        window = choose_window(None, None, today=run.clock.now().date())
        held = Audit(run.account(ONECLICK, "acme"), window, repair=False)
        began = time.monotonic()
        if traced:
            tracemalloc.start()
        found = 0
        async for _ in held.run():
            found += 1
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (count, NOT_HALTED) == (held.tally.agreed + found, held.tally.halted)
        return found, time.monotonic() - began, peak


def measured(folder, count, *, traced=True):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(audit(folder, count, traced=traced))


def test_memory_does_not_grow_with_the_number_of_purchases(tmp_path):
    """Four times as many take a fraction more; each loss is found."""
    few, many = tmp_path / "few", tmp_path / "many"
    few.mkdir()
    many.mkdir()
    _, _, little = measured(few, 2_000)
    found, _, much = measured(many, 8_000)
    assert (8, True) == (found, much < 1.25 * little)


if __name__ == "__main__":
    number = int(sys.argv[1])
    with TemporaryDirectory() as folder:
        found, seconds, _ = measured(Path(folder), number, traced=False)
    with TemporaryDirectory() as folder:
        _, _, peak = measured(Path(folder), number)
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"{number} purchases audited in {seconds:.1f} s, {found} losses found; the audit held {peak / 2**20:.1f} MiB at"
        f" most (the whole process, with the pretend provider's books, {rss_mb:.0f} MiB)\n"
    )
