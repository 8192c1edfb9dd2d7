"""
One purchase for many orders, with the real command line: also if the run is killed, and by a new ledger.

``python -m pytest tests/acceptance/test_buying_together.py --kills 50`` kills ``place`` more often.
"""

import random
import signal
import time

import pytest
from processes import order, sandbox_thread

from impactflow.proof.programs import finish

pytestmark = pytest.mark.timeout(1800)
TIMES = {"IMPACTFLOW_LEASE_S": "4", "IMPACTFLOW_REQUEST_TIMEOUT_S": "1.5", "IMPACTFLOW_SETTLE_S": "2"}
POLICY = """\
store: acme
refunds: {full: undo}
rules:
- slot: trees
  provider: oneclickimpact
  impact: plant_trees
  quantity: {per_amount: {quantity: 1, per: 240}}
  rounding: carry
  buy: {at_least: 1}
- {slot: offset, provider: cnaught, impact: offset, quantity: {per_item: 2.5}, buy: {at_least: 1}}
- slot: giving
  provider: impactapi
  impact: donate
  campaign: trees-for-the-future
  quantity: {percent_of_order: 1}
  buy: {at_least: 1}
"""
KINDS = {"plant_trees", "offset", "donate"}


@pytest.fixture
def kills(request):
    """How often the command is killed."""
    return request.config.getoption("kills")


def bought(sandbox):
    """The quantity of each kind in the books."""
    sums = dict.fromkeys(KINDS, 0)
    for each in sandbox.purchases():
        sums[each["kind"]] += each["quantity"]
    return sums


def earned(count):
    """What so many orders of 80 USD and two items have earned, in whole units."""
    return {"plant_trees": count // 3, "offset": 5_000 * count, "donate": 80 * count}


def commanded(command_line, folder, sandbox, **variables):
    """The command line, with the policy in its folder."""
    command = command_line(folder, sandbox)
    command.variables.update(TIMES, **variables)
    (folder / "policy.yaml").write_text(POLICY)
    return command


def test_seven_orders_are_one_purchase_at_each_seller(tmp_path, command_line):
    """Each order's share is shown, and the sums agree; a new ledger is refused, adopts, and buys nothing."""
    with sandbox_thread([order(number) for number in range(1, 8)]) as sandbox:
        (tmp_path / "first").mkdir()
        command = commanded(command_line, tmp_path / "first", sandbox)
        would = command.run("place", "--dry-run", "--json").json
        assert {each["slot"]: (each["orders"], each["quantity"]) for each in would["would_share"]} == {
            "trees": (7, "2 1/3"), "offset": (7, "35000"), "giving": (7, "560"),
        }  # fmt: skip
        assert command.run("place").status == 0
        assert (len(sandbox.purchases()), bought(sandbox)) == (3, earned(7))
        balances = command.run("balance", "--json")
        assert (balances.status, balances.json["holds"]) == (0, True)
        trees = next(each for each in balances.json["balances"] if each["slot"] == "trees")
        assert (trees["owed"], trees["bought"], trees["waiting"]) == ("2 1/3", "2", {"pool": "1/3"})
        said = command.run("status").out
        assert "Waiting to be bought together in slot trees: 1/3 trees of 1 order." in said
        story = command.run("show", "WR-1").out
        assert "1/3 trees of 2 in purchase lot:trees:1" in story
        assert "lot:trees:1" in command.run("show", "lot:trees:1").out
        audit = command.run("reconcile", "--audit", "--json")
        assert (audit.status, audit.json["audit"]["findings"]) == (0, [])

        (tmp_path / "second").mkdir()
        new = commanded(command_line, tmp_path / "second", sandbox)
        assert new.run("place").status == 2
        assert new.run("adopt", "--yes").status == 0
        for _ in range(2):
            assert new.run("place").status == 0
        assert (len(sandbox.purchases()), bought(sandbox)) == (3, earned(7))
        balances = new.run("balance", "--json")
        assert (balances.status, {each["credit"] for each in balances.json["balances"]}) == (0, {"0"})


def test_a_killed_run_is_finished_by_the_next(tmp_path, command_line, kills):
    """Nothing is bought twice, each order has its share, and the ledger says what the books say."""
    chance, count = random.Random(11), 0
    with sandbox_thread([], latency_s=0.1) as sandbox:
        command = commanded(command_line, tmp_path, sandbox)
        for number in range(kills):
            more = chance.randrange(1, 6)
            sandbox.shop.orders.extend(order(count + each) for each in range(1, more + 1))
            count += more
            before = len(sandbox.purchases())
            process = command.start("place", "--json")
            if number % 2:
                time.sleep(chance.uniform(0.5, 3))
            else:
                while process.poll() is None and len(sandbox.purchases()) == before:
                    time.sleep(0.02)
                time.sleep(chance.uniform(0, 0.3))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            finish(process)
        for _ in range(2):
            time.sleep(6.5)
            last = command.run("place", "--json")
        assert last.status == 0
        assert bought(sandbox) == earned(count)
        keys = [each["impactflow_key"] for each in sandbox.purchases()]
        assert len(keys) == len(set(keys))
        balances = command.run("balance", "--json")
        assert (balances.status, {each["credit"] for each in balances.json["balances"]}) == (0, {"0"})
        recorded = {each["slot"]: each["bought"] for each in balances.json["balances"]}
        kind_of = {"trees": "plant_trees", "offset": "offset", "giving": "donate"}
        assert {kind_of[slot]: int(quantity) for slot, quantity in recorded.items()} == bought(sandbox)
