"""The clients from the settings."""

import pytest
from client_helpers import Script
from pydantic import SecretStr

from impactflow.clients import open_cnaught, open_impactapi, open_oneclickimpact, open_wickedreports
from impactflow.errors import ConfigurationError
from impactflow.settings import Settings

KEYS = {
    "wicked_reports_api_key": SecretStr("w"),
    "oneclickimpact_api_key": SecretStr("o"),
    "cnaught_api_key": SecretStr("c"),
    "impactapi_api_key": SecretStr("i"),
}


@pytest.mark.parametrize(
    ("opened", "expected"),
    [
        (open_wickedreports, "WickedReportsClient('https://api.wickedreports.com')"),
        (open_oneclickimpact, "OneClickImpactClient('https://api.1clickimpact.com')"),
        (open_cnaught, "CNaughtClient('https://api.cnaught.com/v1')"),
        (open_impactapi, "ImpactAPIClient('https://i.example')"),
    ],
)
def test_each_client_opens_at_its_url(opened, expected):
    """The vendors' own hosts by default."""
    settings = Settings(_env_file=None, impactapi_url="https://i.example", **KEYS)
    assert expected == repr(opened(settings, Script()))


@pytest.mark.parametrize(
    ("opened", "variable"),
    [
        (open_wickedreports, "WICKED_REPORTS_API_KEY"),
        (open_oneclickimpact, "ONECLICKIMPACT_API_KEY"),
        (open_cnaught, "CNAUGHT_API_KEY"),
        (open_impactapi, "IMPACTAPI_URL"),
    ],
)
def test_what_is_not_set_is_named(opened, variable, monkeypatch):
    """The variable to set, before anything runs."""
    for name in (*map(str.upper, KEYS), "IMPACTAPI_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match=f"{variable} is not set"):
        opened(Settings(_env_file=None), Script())
