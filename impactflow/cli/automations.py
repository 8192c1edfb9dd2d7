"""Install the automations on a Prefect server."""

import importlib

from impactflow import stopping
from impactflow.cli.console import out, print_json
from impactflow.cli.prefect import require_server


def install_automations(
    notify: str | None, vanished_after_s: float, pending_after_s: float, *, check: bool, as_json: bool
) -> int:
    """
    Install or renew the automations, and print their names; with ``check``, send a test message through the block.

    Raises:
        ConfigurationError: No server answers at PREFECT_API_URL, or it has no such block.
        ImpactError: The test message did not arrive.
    """
    require_server()
    automations = importlib.import_module("deployments.automations")  # loads Prefect
    names = stopping.run(automations.install(notify, vanished_after_s, pending_after_s))
    if check and notify:
        stopping.run(automations.send_test(notify))
    if as_json:
        print_json({"automations": names, "test_arrived": True if check else None})
    else:
        for name in names:
            out.print(f"installed {name}", markup=False)
        if check:
            out.print(f"the receiver of {notify} took a test message", markup=False)
        if not notify:
            out.print("No message is sent to anyone: --notify slack-webhook/NAME installs what sends them.")
    return 0
