"""The campaigns that ImpactAPI's account may give to."""

from collections.abc import Sequence

from impactflow import stopping
from impactflow.cli.console import out, print_json, print_table, waiting_for
from impactflow.clients import open_impactapi
from impactflow.clients.http import open_transport
from impactflow.clients.impactapi.models import Campaign
from impactflow.clock import SystemClock
from impactflow.settings import Settings


def show_campaigns(settings: Settings, *, as_json: bool) -> None:
    """
    Print the slugs of the campaigns: the values for a rule's ``campaign``.

    Raises:
        ConfigurationError: The key or the URL is not set.
        ProviderError: ImpactAPI cannot be asked now.
    """
    with waiting_for("ImpactAPI"):
        found = stopping.run(list_campaigns(settings))
    rows = [{"campaign": each.slug, "name": each.name} for each in found]
    if as_json:
        print_json({"campaigns": rows})
        return
    print_table("Campaigns", rows)
    out.print(f"{len(rows)} campaigns. A rule names one: `campaign: {rows[0]['campaign'] if rows else 'SLUG'}`")


async def list_campaigns(settings: Settings) -> Sequence[Campaign]:
    """
    Ask ImpactAPI for its campaigns.

    Raises:
        ConfigurationError: The key or the URL is not set.
        ProviderError: ImpactAPI cannot be asked now.
    """
    transport = open_transport(1)
    try:
        return await open_impactapi(settings, transport, SystemClock()).list_campaigns()
    finally:
        await transport.aclose()
