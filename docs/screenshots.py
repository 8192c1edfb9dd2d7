"""
Pictures of what an operator sees, taken in a real browser that clicks: run by ``make screenshots``.

``impactflow up`` runs in a folder of its own; what is on the pictures is what it does. A scene is a function of the
browser and of what was seen before; another one is added to ``SCENES``.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
#: A Chromium of the machine's own; it speaks to nobody but this machine.
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
_SIZE = {"width": 1680, "height": 1000}
#: The longest that a run may take on a slow machine, in seconds.
_LONGEST_RUN_S = 180.0


@dataclass(frozen=True)
class Operator:
    """
    Somebody at the pages.

    Args:
        page: The browser's.
        api_url: Prefect's API, which is asked only whether a run has ended.
        folder: Where ``up`` keeps what it writes.
    """

    page: Page
    api_url: str
    folder: Path

    def open(self, path: str, shows: str) -> None:
        """Open a page, and wait until it shows a text."""
        self.page.goto(self.api_url.removesuffix("/api") + path)
        self.page.get_by_text(shows, exact=True).first.wait_for()

    def picture(self, name: str) -> None:
        """Take one of what is there now, once it stands still."""
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(1500)
        self.page.screenshot(path=PICTURES / f"{name}.jpg", type="jpeg", quality=60)  # half of what a PNG takes
        sys.stdout.write(f"{PICTURES.relative_to(ROOT)}/{name}.jpg\n")

    def open_form(self, deployment: str) -> None:
        """By clicking, as a person does it."""
        self.open("/deployments", deployment)
        self.page.get_by_role("link", name=deployment, exact=True).first.click()
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_text("Custom run").click()
        self.page.get_by_text("Run Name").wait_for()

    def fill(self, parameter: str, text: str) -> None:
        """One field of a form, found by its name."""
        self._field(parameter).locator("input, textarea").fill(text)

    def choose(self, parameter: str, option: str) -> None:
        """One of a field's options."""
        self._field(parameter).locator(".p-select-button__control").press("Space")  # a click opens and closes it
        self.page.get_by_role("option", name=option, exact=True).click()

    def open_artifacts(self, run: str, key: str) -> None:
        """Those of a run, among them one that is waited for."""
        self.open(f"/runs/flow-run/{run}", "Artifacts")
        self.page.get_by_text("Artifacts", exact=True).click()
        self.page.get_by_text(key, exact=True).wait_for()

    def open_artifact(self, run: str, key: str) -> None:
        """By clicking on it among those of its run."""
        self.open_artifacts(run, key)
        self.page.get_by_text(key, exact=True).click()
        self.page.get_by_role("heading", name="Flow Run").wait_for()

    def _field(self, parameter: str) -> Locator:
        name = self.page.locator(".schema-form-property__label", has_text=re.compile(rf"^{parameter}( \(Optional\))?$"))
        return self.page.locator(".schema-form-property", has=name)

    def submit(self, deployment: str) -> str:
        """Click, wait until the run has ended, and return its id."""
        before = {run["id"] for run in self._runs(deployment)}
        self.page.get_by_role("button", name="Submit", exact=True).click()
        return self.await_run(deployment, "COMPLETED", but=before)

    def resume(self) -> None:
        """Click on a suspended run's page, and see its form."""
        self.page.get_by_role("button", name="Resume", exact=True).click()
        self.page.get_by_text("Resume Flow Run", exact=True).wait_for()
        self.page.get_by_text("Decision", exact=True).wait_for()

    def await_run(self, deployment: str, state: str, but: Container[str] = ()) -> str:
        """Wait until a run of a deployment is in a state, and return its id."""
        until = time.monotonic() + _LONGEST_RUN_S
        while time.monotonic() < until:
            for run in self._runs(deployment):
                if run["id"] in but:
                    continue
                if run["state"]["type"] == state:
                    return str(run["id"])
                if run["state"]["type"] in {"FAILED", "CRASHED"}:
                    raise RuntimeError(f"the run of {deployment} ended as {run['state']}")
            self.page.wait_for_timeout(500)
        raise TimeoutError(f"no run of {deployment} was {state} within {_LONGEST_RUN_S} s")

    def waiting(self, status: str) -> list[dict[str, Any]]:
        """What ``impactflow status`` says of the same ledger needs attention, in one status."""
        command = [sys.executable, "-m", "impactflow", "status", "--json"]
        environment = {**os.environ, **self._variables()}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return [row for row in json.loads(ended.stdout)["needs_attention"] if row["status"] == status]

    def standing(self) -> set[tuple[str, str, int]]:
        """What the providers' books hold: order, kind, quantity."""
        url = self._variables()["WICKED_REPORTS_URL"].replace("/wickedreports", "/_sandbox/books")
        purchases = httpx.get(url, timeout=30).json()["purchases"]
        return {(each["order_id"], each["kind"], each["quantity"]) for each in purchases if not each["cancelled"]}

    def cancel(self, ref: str) -> None:
        """What a person does in 1ClickImpact's own dashboard."""
        variables = self._variables()
        user_id, time_utc = ref.split("|")
        url, key = variables["ONECLICKIMPACT_URL"], variables["ONECLICKIMPACT_API_KEY"]
        body = {"user_id": user_id, "time_utc": time_utc}
        httpx.post(f"{url}/v1/cancel_impact", json=body, headers={"x-api-key": key}, timeout=30).raise_for_status()

    def _variables(self) -> dict[str, str]:
        lines = (self.folder / "environment").read_text().splitlines()
        return dict(shlex.split(line)[0].split("=", 1) for line in lines)

    def _runs(self, deployment: str) -> list[dict[str, Any]]:
        wanted = {"deployments": {"name": {"any_": [deployment]}}, "flow_runs": {"tags": {"all_": ["impactflow"]}}}
        found: list[dict[str, Any]] = httpx.post(f"{self.api_url}/flow_runs/filter", json=wanted, timeout=60).json()
        return found


def deployments(operator: Operator) -> None:
    """All of them, with their schedules."""
    operator.open("/deployments", "place")
    operator.picture("deployments")


def place(operator: Operator) -> None:
    """The form with a changed parameter, the run, and what it left for a person to see."""
    operator.open_form("place")
    operator.fill("patience_s", "45")
    operator.picture("place-form")
    run = operator.submit("place")
    operator.open(f"/runs/flow-run/{run}", "Artifacts")
    operator.picture("place-run")
    operator.open_artifacts(run, "needs-attention")
    operator.picture("place-artifacts")
    operator.open_artifact(run, "needs-attention")
    operator.picture("needs-attention")


def approve(operator: Operator) -> None:
    """What exceeds the limit: the run that asks has come by itself, and its form is filled in."""
    run = operator.await_run("approve", "PAUSED")
    operator.open(f"/runs/flow-run/{run}", "Artifacts")
    operator.resume()
    operator.choose("Decision", "trim")
    for field, text in (("At Most", "17.5"), ("By", "Ines"), ("Why", "wholesalers; the budget says no more")):
        operator.fill(field, text)
    operator.picture("approve-form")
    operator.page.get_by_role("button", name="Submit", exact=True).click()
    operator.await_run("approve", "COMPLETED")
    operator.open_artifact(run, "approve-placements")
    operator.picture("approve-run")


def settle(operator: Operator) -> None:
    """A parked placement: a person looks into it at the provider, puts it right there, and settles it by the form."""
    waiting = operator.waiting("parked")[0]
    [ref] = re.findall(r"(\S+) was bought", waiting["reason"])
    operator.cancel(ref)
    operator.open_form("settle")
    for parameter, text in (("order", waiting["order_id"]), ("slot", waiting["slot"]), ("by", "Ines")):
        operator.fill(parameter, text)
    operator.choose("decision", "not-bought")
    operator.fill("why", "two trees instead of one: cancelled there")
    operator.picture("settle-form")
    run = operator.submit("settle")
    operator.open_artifact(run, "settle-parked")
    operator.picture("settle-run")


def place_again(operator: Operator) -> None:
    """The next run buys just what was approved and settled; whether it did is asked of the providers' books."""
    before = operator.standing()
    operator.open_form("place")
    run = operator.submit("place")
    bought = sorted((kind, quantity) for _, kind, quantity in operator.standing() - before)
    if bought != [*[("offset", 17_500)] * 4, ("plant_trees", 1)]:
        raise RuntimeError(f"it bought {bought}")
    operator.open_artifact(run, "purchases")
    operator.picture("place-again")


SCENES = (deployments, place, approve, settle, place_again)


@contextmanager
def up() -> Iterator[dict[str, Any]]:
    """``impactflow up`` in a folder of its own, until the context is left; what it printed."""
    with TemporaryDirectory(prefix="impactflow-screenshots-") as folder:
        for name in ("prefect.yaml", "flows"):
            (Path(folder) / name).symlink_to(ROOT / name)
        command = [sys.executable, "-m", "impactflow", "up", "--json"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield json.loads(process.stdout.readline())
            finally:
                process.send_signal(signal.SIGINT)
                process.wait()


def take(printed: dict[str, Any]) -> None:
    """Go through all scenes."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"no Chromium is on PATH: install one of {', '.join(_BROWSERS)}")
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=_QUIET, headless=True)
        operator = Operator(chromium.new_page(viewport=_SIZE), printed["api_url"], Path(printed["folder"]))
        for scene in SCENES:
            scene(operator)
        chromium.close()


if __name__ == "__main__":
    with up() as printed:
        take(printed)
