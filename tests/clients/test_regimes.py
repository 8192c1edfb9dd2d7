"""The two regimes of providers: which purchases go out one after the other."""

import httpx

from impactflow.clock import SystemClock
from impactflow.models import KEYLESS, ProviderName
from impactflow.providers import KeepsRecords
from impactflow.providers.opening import open_provider
from impactflow.settings import Settings


def test_only_a_provider_without_keys_sends_look_alikes_one_after_the_other():
    """The ledger marks look-alikes at those of ``KEYLESS``; a provider that asks for them elsewhere would find none."""
    keys = {f"{name}_api_key": "key" for name in ProviderName}
    settings = Settings(_env_file=None, impactapi_url="https://i.example", **keys)
    opened = {
        name: open_provider(name, settings, httpx.MockTransport(lambda _: httpx.Response(500)), SystemClock())
        for name in ProviderName
    }
    assert {name for name, each in opened.items() if each.serialize_look_alikes} == KEYLESS
    assert all(isinstance(opened[name], KeepsRecords) for name in KEYLESS)
