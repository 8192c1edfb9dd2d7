"""
Refunded orders, with the real command line: what was bought for them is cancelled, also if the run is killed.

``python -m pytest tests/acceptance/test_refunds.py --kills 50`` kills ``refunds`` more often.
"""

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from processes import order, sandbox_thread

from impactflow.ledger import Ledger, Status
from impactflow.proof.programs import finish
from impactflow.stopping import run

pytestmark = pytest.mark.timeout(1800)
TIMES = {"IMPACTFLOW_LEASE_S": "4", "IMPACTFLOW_REQUEST_TIMEOUT_S": "1.5", "IMPACTFLOW_SETTLE_S": "2"}
REFUNDED = [{"date": "2026-03-02T12:00:00", "status": "REFUNDED", "amount": 80}]
POLICY = """\
store: acme
refunds: {full: undo}
rules:
- {slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {per_order: 1}}
- {slot: offset, provider: cnaught, impact: offset, quantity: {per_item: 2.5}}
- {slot: giving, provider: impactapi, impact: donate, campaign: trees-for-the-future, quantity: {percent_of_order: 1}}
"""


@pytest.fixture
def kills(request):
    """How often the command is killed."""
    return request.config.getoption("kills")


def standing(sandbox):
    """The purchases that stand in the books, by order."""
    return sorted(each["order_id"] for each in sandbox.purchases() if not each["cancelled"])


def refund(sandbox, numbers):
    """The shop gives these orders' payments back."""
    for number in numbers:
        sandbox.shop.orders[number - 1] = sandbox.shop.orders[number - 1] | {"payments": REFUNDED}


def in_statuses(folder: Path):
    """The number of placements in each status."""
    with Ledger.open(f"sqlite:///{folder / 'impactflow.db'}") as ledger:
        counts = run(ledger.counts())
    return {status: sum(n for (_, each), n in counts.items() if each is status) for status in Status}


def test_what_a_refunded_order_has_bought_is_cancelled(tmp_path, command_line):
    """A person and a program read how much; a second run finds nothing to do."""
    with sandbox_thread([order(number) for number in range(1, 5)]) as sandbox:
        command = command_line(tmp_path, sandbox)
        command.variables.update(TIMES)
        (tmp_path / "policy.yaml").write_text(POLICY)
        assert command.run("place").status == 0
        refund(sandbox, [2, 3])
        time.sleep(3)  # what was sent a moment ago is left for later
        assert command.run("place").status == 0
        listed = command.run("refunds", "--dry-run", "--json").json["would_be_cancelled"]
        assert {(each["order"], each["slot"]) for each in listed} == {
            (name, slot) for name in ("WR-2", "WR-3") for slot in ("trees", "offset", "giving")
        }
        assert len(standing(sandbox)) == 12
        ended = command.run("refunds", "--json")
        numbers = {name: ended.json[name] for name in ("seen", "withdrawn", "cancelled", "kept", "refused", "open")}
        assert numbers == {"seen": 2, "withdrawn": 0, "cancelled": 6, "kept": 0, "refused": 0, "open": 0}
        assert {each["order"] for each in ended.json["purchases"]} == {"WR-2", "WR-3"}
        assert (ended.status, standing(sandbox)) == (0, ["WR-1"] * 3 + ["WR-4"] * 3)
        again = command.run("refunds")
        assert (again.status, "This run has cancelled 0" in again.out) == (0, True)
        audit = command.run("reconcile", "--audit", "--json")
        assert (audit.status, audit.json["audit"]["findings"]) == (0, [])


def test_a_killed_run_is_finished_by_the_next(tmp_path, command_line, kills):
    """Nothing is cancelled that was not refunded, and the ledger says what the books say."""
    chance, numbers = random.Random(7), list(range(1, 3 * max(kills, 4) + 1))
    with sandbox_thread([order(number) for number in numbers], latency_s=0.1) as sandbox:
        command = command_line(tmp_path, sandbox)
        command.variables.update(TIMES, IMPACTFLOW_CONCURRENCY="2")
        (tmp_path / "policy.yaml").write_text(POLICY)
        assert command.run("place").status == 0
        chance.shuffle(numbers)
        kept, refunded = numbers[: len(numbers) // 3], numbers[len(numbers) // 3 :]
        begun = 0
        for number in range(kills):
            refund(sandbox, refunded[number * len(refunded) // kills : (number + 1) * len(refunded) // kills])
            before = len(standing(sandbox))
            process = command.start("refunds", "--json")
            while process.poll() is None and len(standing(sandbox)) >= before:
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.5))
            kill(process)
            begun += len(standing(sandbox)) < before
        assert begun >= kills // 2
        for _ in range(2):
            time.sleep(6.5)
            last = command.run("refunds", "--json")
        assert (last.status, last.json["open"]) == (0, 0)
        assert standing(sandbox) == sorted([f"WR-{number}" for number in kept] * 3)
        counts = in_statuses(tmp_path)
        bought = counts[Status.PLACED] + counts[Status.COMPLETED]
        assert (bought, counts[Status.CANCELLED]) == (3 * len(kept), 3 * len(refunded))


def kill(process: subprocess.Popen) -> None:
    """End it at once, if it has not ended."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    finish(process)
