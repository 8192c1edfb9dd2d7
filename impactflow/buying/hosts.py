"""
Whether purchases are real: the hosts of a policy's providers, held against the policy's ``live``.

A key's own kind cannot be seen from outside, so it is the host that counts: ``sandbox.`` and ``testing.`` at its
beginning, or this machine, stand for tests.
"""

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

from impactflow.errors import ConfigurationError
from impactflow.models import ProviderName
from impactflow.policy import Policy, load_policy
from impactflow.settings import Settings, is_loopback

_TESTS = frozenset({"sandbox", "testing"})


def refuse_hosts(policy: Policy, settings: Settings, others: Collection[ProviderName] = ()) -> None:
    """
    Check that the providers' hosts are as real as a policy says.

    Raises:
        ConfigurationError: One is not; the message says what to write.
    """
    if wrong := wrong_hosts(policy, settings, others):
        raise ConfigurationError("; ".join(wrong.values()))


def wrong_hosts(
    policy: Policy, settings: Settings, others: Collection[ProviderName] = ()
) -> Mapping[ProviderName, str]:
    """
    The providers whose host a policy's ``live`` refuses, each with a sentence for a person.

    Args:
        policy: The policy; its own providers count in any case.
        settings: The settings, with the URLs.
        others: Providers that are gone from the policy; those without a key are not asked, and do not count.
    """
    if policy.live is None:
        return {}
    asked = {*_providers(policy), *(name for name in others if getattr(settings, f"{name}_api_key") is not None)}
    return {
        name: _wrong(name, host, is_live=policy.live)
        for name, host in _hosts(asked, settings)
        if _is_test(host) is policy.live
        if not (settings.impactflow_allow_loopback and is_loopback(host))
    }


def wrong_by_file(settings: Settings, used: Collection[ProviderName]) -> Mapping[ProviderName, str]:
    """The same for a run that goes by no policy: by the one in the settings, as far as it can be read."""
    try:
        return wrong_hosts(load_policy(settings.impactflow_policy), settings, used)
    except ConfigurationError:
        return {}


def hosts_in_words(policy: Policy, settings: Settings) -> str:
    """The host of each of a policy's providers, and whether it is a real one."""
    hosts = _hosts(_providers(policy), settings)
    return ", ".join(f"{name} at {host} ({'tests' if _is_test(host) else 'real'})" for name, host in hosts)


def _providers(policy: Policy) -> frozenset[ProviderName]:
    return frozenset(rule.provider for rule in policy.rules)


def _hosts(names: Collection[ProviderName], settings: Settings) -> Sequence[tuple[ProviderName, str]]:
    urls = {name: getattr(settings, f"{name}_url") for name in sorted(names)}
    return [(name, urlsplit(url).hostname or "") for name, url in urls.items() if url is not None]


def _is_test(host: str) -> bool:
    return is_loopback(host) or host.split(".", maxsplit=1)[0] in _TESTS


def _wrong(name: ProviderName, host: str, *, is_live: bool) -> str:
    variable = f"{name.upper()}_URL"
    if is_live:
        return (
            f"the policy says live: true, and {host} is for tests: nothing real would be bought there. Set {variable}"
            f" to {name}'s real URL, or write live: false"
        )
    return (
        f"the policy says live: false, and {host} is real: purchases there cost money. Write live: true if they are"
        f" meant to, or set {variable} to a URL for tests"
    )
