"""
What `run` asks in the sandbox's container: ``python judge.py STEP``; it reads the books, the ledger and Prefect's API.

Steps: every-minute (give `place` a schedule of its own), buying N (wait until a scheduled run buys and N purchases are
made, print the run), bought (how many), done SINCE (wait until nothing is left to be done), verdict RUN (judge, print).
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from impactflow.errors import LedgerError
from impactflow.ledger import Ledger, Status
from impactflow.models import provider_ref
from impactflow.proof.bookkeeping import Line, Quantities, What, differences, earned, in_books
from impactflow.sandbox import generate_orders
from impactflow.sandbox.orders import CONVERTIBLE_CURRENCIES

#: As in override.yaml: the sandbox's orders follow from it, but for their dates.
ORDERS, SEED = 300, 7
BOOKS = "http://127.0.0.1:8123/_sandbox"
#: What a person is told of; everything else that was not bought is lost, or still to be bought.
WAITING = (Status.HELD, Status.AWAITING_APPROVAL, Status.PARKED)
#: Still to be done by a further run.
OPEN = (Status.PLANNED, Status.PLACING, Status.IN_DOUBT)


def wrong(
    expected: Quantities, books: Collection[Mapping[str, Any]], recorded: Collection[Line], waiting: Collection[What]
) -> dict[str, list[Any]]:
    """
    How the promise was broken; nothing where it was kept.

    Args:
        expected: What was earned.
        books: What the sellers have sold.
        recorded: What the ledger knows of.
        waiting: What waits for a person: it may be bought or not, and recorded or not.
    """
    found: dict[str, list[Any]] = {**differences(expected, books)}
    found["lost"] = [what for what in found["lost"] if what not in waiting]
    of_person = {row["impactflow_key"] for row in books if (row["order_id"], row["provider"]) in waiting}
    found["not recorded"] = sorted(line for line in in_books(books) - set(recorded) if line[0] not in of_person)
    found["recorded but not bought"] = sorted(set(recorded) - in_books(books))
    return {name: cases for name, cases in found.items() if cases}


def _prefect(method: str, path: str, content: Any = None) -> Any:
    user, _, password = os.environ["PREFECT_API_AUTH_STRING"].partition(":")
    url = f"{os.environ['PREFECT_API_URL']}/{path}"
    return httpx.request(method, url, json=content, auth=(user, password), timeout=30).raise_for_status().json()


def _runs() -> list[dict[str, Any]]:
    """All runs that have begun, with the names of their deployments."""
    names = {each["id"]: each["name"] for each in _prefect("POST", "deployments/filter", {})}
    begun = {"flow_runs": {"start_time": {"is_null_": False}}}
    return [run | {"of": names.get(run["deployment_id"])} for run in _prefect("POST", "flow_runs/filter", begun)]


def _books() -> list[dict[str, Any]]:
    purchases: list[dict[str, Any]] = httpx.get(f"{BOOKS}/books", timeout=30).raise_for_status().json()["purchases"]
    return purchases


def _ledger() -> tuple[set[Line], set[What], Mapping[Status, int]]:
    """What it has recorded as bought, what waits for a person, and how many placements are in which status."""

    async def read() -> tuple[set[Line], set[What], Mapping[Status, int]]:
        with Ledger.open(os.environ["IMPACTFLOW_LEDGER_URL"]) as ledger:
            lines = {
                (row["key"], row["provider"], row["quantity"], provider_ref(row["ref"]))
                for row in await ledger.purchases()
            }
            waiting = {(row["order"], row["provider"]) for row in await ledger.like_these(WAITING)}
            counts: Counter[Status] = Counter()
            for (_, status), count in (await ledger.counts()).items():
                counts[status] += count
            return lines, waiting, counts

    return asyncio.run(read())


def _wait(happened: Callable[[], Any], what: str, longest_s: float = 900) -> Any:
    """What it says once it says something; a server that is away for a moment says nothing."""
    until = time.monotonic() + longest_s
    while time.monotonic() < until:
        try:
            if found := happened():
                return found
        except (httpx.HTTPError, LedgerError):
            pass
        time.sleep(1)
    sys.exit(f"{what} did not come within {longest_s:.0f} s")


def every_minute() -> None:
    """Give `place` a schedule beside its own, as a person may on its page; nobody starts a run by hand."""
    (place,) = (each["id"] for each in _prefect("POST", "deployments/filter", {}) if each["name"] == "place")
    schedule = {"interval": 60, "anchor_date": datetime.now(UTC).isoformat()}
    _prefect("POST", f"deployments/{place}/schedules", [{"active": True, "schedule": schedule}])


def buying(at_least: int) -> str:
    """The run of a schedule that buys, once so many purchases are made and something is in flight."""

    def buying_run() -> str | None:
        in_flight = sum(each["in_flight"] for each in httpx.get(f"{BOOKS}/status").raise_for_status().json().values())
        if not in_flight or len(_books()) < at_least:
            return None
        running = [run["id"] for run in _runs() if run["of"] == "place" and run["state_type"] == "RUNNING"]
        return running[-1] if running else None

    return str(_wait(buying_run, f"a scheduled run that makes purchase {at_least}"))


def done(since: datetime) -> None:
    """Wait until nothing is open, a run of `place` that began since is complete, and one by prefect.yaml's schedule."""

    def is_done() -> bool:
        complete = [run for run in _runs() if run["auto_scheduled"] and run["state_type"] == "COMPLETED"]
        again = any(run["of"] == "place" and datetime.fromisoformat(run["start_time"]) > since for run in complete)
        _, _, counts = _ledger()
        return again and any(run["of"] == "events" for run in complete) and not sum(counts[each] for each in OPEN)

    _wait(is_done, "an end")


def verdict(killed: str) -> int:
    """Print what happened; 0 where the promise was kept."""
    books, (recorded, waiting, counts), runs = _books(), _ledger(), _runs()
    orders = generate_orders(ORDERS, SEED, datetime.now(UTC), currencies=CONVERTIBLE_CURRENCIES)
    expected = earned(orders)
    sandbox = httpx.get(f"{BOOKS}/status").raise_for_status().json().values()
    struck = sum(count for each in sandbox for count in each["faults"].values())
    print(f"{len(orders)} orders earned {len(expected)} purchases; {len(books)} are bought; {struck} faults struck")
    print(f"the ledger: {_counted(counts)}")
    for name in sorted({run["of"] for run in runs}):
        of_it = [run for run in runs if run["of"] == name]
        by_schedule = sum(run["auto_scheduled"] for run in of_it)
        print(f"runs of {name}: {_counted(Counter(run['state_name'] for run in of_it))}; {by_schedule} by schedules")
    (state,) = (run["state"] for run in runs if run["id"] == killed)
    print(f"the run whose worker was killed: {state['name']}: {state['message']}")
    found = wrong(expected, books, recorded, waiting)
    if still_open := sum(counts[each] for each in OPEN):
        found["still open"] = [still_open]
    for name, cases in found.items():
        print(f"WRONG: {name}: {len(cases)}, such as {json.dumps(cases[0])}")
    if not found:
        print("the books equal the ledger: nothing is bought twice, nothing lost, nothing unrecorded")
    return 1 if found else 0


def _counted(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count)


def main(step: str, words: Iterable[str]) -> int:
    """Do one step."""
    match [step, *words]:
        case ["every-minute"]:
            every_minute()
        case ["buying", at_least]:
            print(buying(int(at_least)))
        case ["bought"]:
            print(len(_books()))
        case ["done", since]:
            done(datetime.fromtimestamp(int(since), UTC))
        case ["verdict", killed]:
            return verdict(killed)
        case _:
            sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
