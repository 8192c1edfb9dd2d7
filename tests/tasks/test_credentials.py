"""The accounts as blocks, without a Prefect server; ``flows/test_canary.py`` has one."""

import copy
import pickle
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr, TypeAdapter, ValidationError

from impactflow.errors import ConfigurationError, Unauthorized
from impactflow.settings import load_settings
from tasks.credentials import (
    CNaughtCredentials,
    ImpactAPICredentials,
    OneClickImpactCredentials,
    WickedReportsCredentials,
    with_blocks,
)

KINDS = {
    "wicked_reports": WickedReportsCredentials,
    "oneclickimpact": OneClickImpactCredentials,
    "cnaught": CNaughtCredentials,
    "impactapi": ImpactAPICredentials,
}
of_each_kind = pytest.mark.parametrize(("prefix", "kind"), KINDS.items(), ids=KINDS)


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """An environment without any account."""
    monkeypatch.chdir(tmp_path)
    for prefix in KINDS:
        monkeypatch.delenv(f"{prefix.upper()}_API_KEY", raising=False)
        monkeypatch.delenv(f"{prefix.upper()}_URL", raising=False)


@of_each_kind
def test_an_account_is_the_environments_unless_told_otherwise(prefix, kind, sandbox):
    """Key and URL."""
    settings, account = load_settings(), kind()
    assert (account.api_key, account.url) == (
        getattr(settings, f"{prefix}_api_key"),
        getattr(settings, f"{prefix}_url"),
    )


@of_each_kind
def test_an_account_takes_the_environments_place(prefix, kind, sandbox):
    """And changes nothing else of the settings."""
    before = load_settings()
    after = kind(api_key="mine", url="https://mine.example/").over(before)
    changes = dict(after.model_dump().items() - before.model_dump().items())
    assert {f"{prefix}_api_key": SecretStr("mine"), f"{prefix}_url": "https://mine.example"} == changes


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (WickedReportsCredentials, "https://api.wickedreports.com"),
        (OneClickImpactCredentials, "https://api.1clickimpact.com"),
        (CNaughtCredentials, "https://api.cnaught.com/v1"),
    ],
)
def test_a_key_of_its_own_goes_to_the_vendor(kind, url, sandbox):
    """Not to where the environment's key goes."""
    assert url == kind(api_key="mine").url


@pytest.mark.parametrize(
    ("kind", "given"),
    [(kind, {"url": "https://mine.example"}) for kind in KINDS.values()] + [(ImpactAPICredentials, {"api_key": "k"})],
)
def test_half_an_account_is_an_error(kind, given, sandbox):
    """The environment's key must not go to the block's URL, nor the block's key to the environment's."""
    with pytest.raises(ConfigurationError, match=f"{kind.__name__}: give both api_key and url"):
        kind(**given)


@of_each_kind
def test_what_is_neither_given_nor_in_the_environment_is_named(prefix, kind, bare):
    """The variable to set."""
    with pytest.raises(ConfigurationError, match=f"{prefix.upper()}_API_KEY is not set"):
        kind()


def test_the_url_of_an_impactapi_account_has_no_default(bare, monkeypatch):
    """It is the organization's own."""
    monkeypatch.setenv("IMPACTAPI_API_KEY", "k")
    with pytest.raises(ConfigurationError, match="IMPACTAPI_URL is not set"):
        ImpactAPICredentials()


@pytest.mark.parametrize(
    "given",
    [
        {"url": "http://shop.example"},
        {"url": "https://user:canary-secret@shop.example"},
        {"api_key": 123456789},
        {"key": "canary-secret"},
    ],
)
def test_a_malformed_account_is_refused_without_repeating_it(given):
    """As for the variables: https, no password, no misspelt field."""
    with pytest.raises(ValidationError) as caught:
        CNaughtCredentials(**{"api_key": "canary-secret"} | given)
    assert not any(secret in str(caught.value) for secret in ("canary-secret", "123456789"))


def test_a_key_shows_nowhere():
    """Not where the account is printed, written as JSON, copied or pickled."""
    account = CNaughtCredentials(api_key="canary-secret")
    shown = f"{account} {account!r} {account.model_dump()} {account.model_dump_json()} {copy.deepcopy(account)}"
    assert "canary-secret" not in shown
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps({"credentials": account})


def test_an_account_may_be_a_flows_parameter():
    """Prefect validates what it already is."""
    account = CNaughtCredentials(api_key="mine")
    assert account is TypeAdapter(CNaughtCredentials).validate_python(account)


@of_each_kind
async def test_a_right_key_passes_the_check(prefix, kind, sandbox):
    """Nothing is bought for it."""
    await kind().check()
    assert [] == sandbox.books.purchases


@of_each_kind
async def test_a_wrong_key_fails_the_check(prefix, kind, sandbox):
    """It says so before a flow is started."""
    with pytest.raises(Unauthorized, match=f"check {prefix.upper()}_API_KEY"):
        await kind(api_key="wrong", url=kind().url).check()


@pytest.fixture
def keep(monkeypatch):
    """Lets Prefect keep blocks named ``impactflow``: what each holds, by the name of its type."""
    kept = {}

    class Prefect:
        async def read_block_document_by_name(self, name, slug):
            if name != "impactflow" or slug not in kept:
                raise ObjectNotFound(Exception())
            return SimpleNamespace(data=kept[slug])

    @asynccontextmanager
    async def get_client():
        yield Prefect()

    monkeypatch.setattr("tasks.credentials.get_client", get_client)
    return kept.update


async def test_without_blocks_the_settings_stay_as_they_are(keep, sandbox):
    """The environment's accounts are used."""
    assert load_settings() == await with_blocks(load_settings())


async def test_a_block_takes_its_accounts_place_and_no_others(keep, bare):
    """Also where the environment has none."""
    keep({"cnaught-credentials": {"api_key": "mine", "url": "https://mine.example"}})
    settings = await with_blocks(load_settings())
    assert ("mine", "https://mine.example") == (settings.cnaught_api_key.get_secret_value(), settings.cnaught_url)
    assert settings.wicked_reports_api_key is None


@pytest.mark.parametrize(
    ("slug", "held", "expected"),
    [
        (
            "cnaught-credentials",
            {"api_key": "canary", "url": "http://shop.example"},
            "field url: .*must begin",
        ),
        ("impactapi-credentials", {"api_key": "canary", "host": "x"}, "give both api_key and url"),
        ("impactapi-credentials", {"api_key": "canary", "url": "https://x.example", "k": 1}, "field k"),
        ("1clickimpact-credentials", {}, "ONECLICKIMPACT_API_KEY is not set"),
    ],
)
async def test_a_block_that_makes_no_sense_is_named(keep, bare, slug, held, expected):
    """Nothing runs, and the key is not repeated."""
    keep({slug: held})
    with pytest.raises(ConfigurationError, match=f"the Prefect block {slug}/impactflow: .*{expected}") as caught:
        await with_blocks(load_settings())
    assert "canary" not in str(caught.value)
