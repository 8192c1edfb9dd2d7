"""
The way out of this network: the proxy that HTTPS_PROXY or ALL_PROXY names, and the hosts that NO_PROXY spares.

The variables mean what they mean to curl and Prefect; capitals do not matter. Requests to loopback never go through a
proxy. ``transport`` makes the connections.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from impactflow.errors import ConfigurationError
from impactflow.settings import is_loopback

#: This machine's own names, as NO_PROXY lists them.
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_DEFAULT_PORT = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxies:
    """
    The proxy for requests that leave this machine.

    Args:
        variable: The variable that names it; empty where there is none.
        url: Its URL, with user and password where it asks for them; empty where there is none.
        spared: The hosts to connect to directly, separated by commas, as in NO_PROXY.
    """

    variable: str = ""
    url: str = field(default="", repr=False)
    spared: str = ""

    def url_for(self, host: str) -> str | None:
        """Return the proxy's URL for a host; None for a direct connection."""
        return None if not self.url or is_loopback(host) or self._spares(host.lower()) else self.url

    def _spares(self, host: str) -> bool:
        """Whether NO_PROXY lists a host or a domain that contains it."""
        listed = (name.strip().lstrip(".").lower() for name in self.spared.split(","))
        return any(name and (name in {"*", host} or host.endswith(f".{name}")) for name in listed)

    @property
    def place(self) -> str:
        """Host and port of the proxy, for a person."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or _DEFAULT_PORT[parts.scheme]}"


def read_proxies() -> Proxies:
    """
    Read the proxy from the environment.

    Raises:
        ConfigurationError: The variable names no HTTP proxy. The message names it and never repeats its value.
    """
    named = getproxies_environment()
    scheme = "https" if named.get("https") else "all"
    url, variable = named.get(scheme, ""), f"{scheme.upper()}_PROXY"
    if not url:
        return Proxies()
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in _DEFAULT_PORT and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigurationError(f"{variable} must be the URL of an HTTP proxy, such as http://proxy.example.com:3128")
    return Proxies(variable, url, named.get("no", ""))


def spare_loopback(environment: MutableMapping[str, str]) -> None:
    """
    Add this machine to NO_PROXY, for programs that obey HTTP_PROXY even for it: a temporary Prefect server runs here.

    Args:
        environment: The variables of this process, and so of those that it starts.
    """
    named = getproxies_environment()
    if not named.keys() - {"no"} or named.get("no") == "*":
        return
    listed = [host.strip() for host in named.get("no", "").split(",") if host.strip()]
    text = ",".join([*listed, *(host for host in _LOOPBACK if host not in listed)])
    environment.update({"NO_PROXY": text, "no_proxy": text})
