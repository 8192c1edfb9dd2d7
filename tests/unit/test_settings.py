"""Settings: what follows from what, what is refused and with which words, and that keys never show."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from impactflow.errors import ConfigurationError
from impactflow.settings import Settings, load_prefect_api, load_settings, require_key

KEYS = ("WICKED_REPORTS_API_KEY", "ONECLICKIMPACT_API_KEY", "CNAUGHT_API_KEY", "IMPACTAPI_API_KEY")
URLS = ("WICKED_REPORTS_URL", "ONECLICKIMPACT_URL", "CNAUGHT_URL", "IMPACTAPI_URL")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and a working directory without a ``.env``."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


class TestDefaults:
    def test_nothing_needs_to_be_set(self) -> None:
        """Live URLs where there is one for all, SQLite in the working directory."""
        settings = load_settings()
        assert settings.cnaught_url == "https://api.cnaught.com/v1"
        assert settings.impactapi_url is None
        assert settings.impactflow_ledger_url == "sqlite:///impactflow.db"
        assert Path("policy.yaml") == settings.impactflow_policy

    @pytest.mark.parametrize(
        ("lease_s", "timeout_s", "settle_s"), [(None, 20, 240), ("120", 20, 240), ("8", 2, 16), ("0.4", 0.1, 0.8)]
    )
    def test_times_follow_from_the_lease(
        self, monkeypatch: pytest.MonkeyPatch, lease_s: str | None, timeout_s: float, settle_s: float
    ) -> None:
        """A request takes a quarter of the lease, 20 s at most; settling takes two leases."""
        if lease_s is not None:
            monkeypatch.setenv("IMPACTFLOW_LEASE_S", lease_s)
        settings = load_settings()
        assert (timeout_s, settle_s) == (settings.impactflow_request_timeout_s, settings.impactflow_settle_s)

    def test_times_that_are_set_stand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Setting one leaves the other to the lease."""
        monkeypatch.setenv("IMPACTFLOW_REQUEST_TIMEOUT_S", "3")
        settings = load_settings()
        assert (settings.impactflow_request_timeout_s, settings.impactflow_settle_s) == (3, 240)

    def test_an_empty_variable_is_not_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As shells and compose files leave them."""
        monkeypatch.setenv("IMPACTFLOW_LEASE_S", "")
        monkeypatch.setenv("CNAUGHT_API_KEY", "")
        assert load_settings() == Settings()
        assert load_settings().cnaught_api_key is None

    def test_the_environment_wins_over_the_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """``.env`` is read where the program runs."""
        Path(".env").write_text("IMPACTFLOW_LEASE_S=60\nIMPACTFLOW_CONCURRENCY=5\nOTHER=1\n", encoding="utf-8")
        monkeypatch.setenv("IMPACTFLOW_CONCURRENCY", "6")
        settings = load_settings()
        assert (
            settings.impactflow_lease_s,
            settings.impactflow_request_timeout_s,
            settings.impactflow_concurrency,
        ) == (60, 15, 6)


class TestUrls:
    @pytest.mark.parametrize("variable", URLS)
    @pytest.mark.parametrize(
        ("url", "kept"),
        [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com/prefix/v1/", "https://api.example.com/prefix/v1"),
            ("http://localhost:8080/cnaught/v1", "http://localhost:8080/cnaught/v1"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ],
    )
    def test_https_goes_anywhere_and_http_stays_here(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, url: str, kept: str
    ) -> None:
        """A path prefix is kept; a slash at its end is not."""
        monkeypatch.setenv(variable, url)
        assert kept == getattr(load_settings(), variable.lower())

    @pytest.mark.parametrize("variable", URLS)
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("http://api.example.com", "must begin with https://"),
            ("http://10.0.0.1", "must begin with https://"),
            ("http://localhost.example.com", "must begin with https://"),
            ("http://127.0.0.1.example.com", "must begin with https://"),
            ("http://0.0.0.0:80", "must begin with https://"),
            ("https://me:hush@api.example.com", "must not hold a user or a password"),
            ("http://me:hush@localhost", "must not hold a user or a password"),
            ("api.example.com", "must be a URL such as"),
            ("ftp://api.example.com", "must be a URL such as"),
            ("https://", "must be a URL such as"),
        ],
    )
    def test_any_other_url_is_refused_by_its_variable(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, url: str, message: str
    ) -> None:
        """The message does not repeat what may hold a password."""
        monkeypatch.setenv(variable, url)
        with pytest.raises(ConfigurationError) as refused:
            load_settings()
        assert str(refused.value).startswith(f"{variable}: {message}")
        assert "hush" not in str(refused.value)


class TestMessages:
    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("IMPACTFLOW_LEASE_S", "soon-7319"),
            ("IMPACTFLOW_LEASE_S", "-7319"),
            ("IMPACTFLOW_LEASE_S", "86401"),
            ("IMPACTFLOW_REQUEST_TIMEOUT_S", "7319-s"),
            ("IMPACTFLOW_SETTLE_S", "7319-s"),
            ("IMPACTFLOW_CONCURRENCY", "7319"),
            ("IMPACTFLOW_CONCURRENCY", "0.7319"),
            ("IMPACTFLOW_CNAUGHT_KEY_AGE_S", "-7319"),
            ("IMPACTFLOW_TRACK_S", "-7319"),
        ],
    )
    def test_a_malformed_value_is_refused_by_its_variable(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        """The variable is named, its value is not."""
        monkeypatch.setenv(variable, value)
        with pytest.raises(ConfigurationError) as refused:
            load_settings()
        assert variable in str(refused.value)
        assert value not in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_several_are_named_in_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One look is enough."""
        monkeypatch.setenv("CNAUGHT_URL", "nowhere")
        monkeypatch.setenv("IMPACTFLOW_CONCURRENCY", "many")
        with pytest.raises(ConfigurationError, match=r"^CNAUGHT_URL: .*; IMPACTFLOW_CONCURRENCY: "):
            load_settings()

    @pytest.mark.parametrize(
        ("variable", "value", "other"),
        [
            ("IMPACTFLOW_REQUEST_TIMEOUT_S", "120", "IMPACTFLOW_LEASE_S"),
            ("IMPACTFLOW_REQUEST_TIMEOUT_S", "250", "IMPACTFLOW_LEASE_S"),
        ],
    )
    def test_times_out_of_order_name_both(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, other: str
    ) -> None:
        """A request ends before its lease, and settling outlasts the request."""
        monkeypatch.setenv(variable, value)
        with pytest.raises(ConfigurationError) as refused:
            load_settings()
        assert variable in str(refused.value)
        assert other in str(refused.value)


class TestKeys:
    def test_no_key_shows_in_a_settings_repr(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nor in its text or its JSON."""
        for variable in KEYS:
            monkeypatch.setenv(variable, f"hush-{variable}")
        settings = load_settings()
        shown = f"{settings!r} {settings} {settings.model_dump_json()}"
        assert "hush" not in shown
        assert require_key(settings.cnaught_api_key, "CNAUGHT_API_KEY") == "hush-CNAUGHT_API_KEY"

    @pytest.mark.parametrize("key", [None, SecretStr(""), SecretStr("  \n")])
    def test_a_key_that_is_not_set_is_asked_for_by_its_variable(self, key: SecretStr | None) -> None:
        """With a way to go on without one."""
        with pytest.raises(ConfigurationError, match=r"CNAUGHT_API_KEY is not set.*impactflow demo"):
            require_key(key, "CNAUGHT_API_KEY")

    @pytest.mark.parametrize("key", ["hush\nhush", "hüsh", "hush\x00"])
    def test_a_key_that_no_header_can_carry_is_refused_unseen(self, key: str) -> None:
        """The message names the variable only."""
        with pytest.raises(ConfigurationError, match="CNAUGHT_API_KEY holds characters") as refused:
            require_key(SecretStr(key), "CNAUGHT_API_KEY")
        assert key not in str(refused.value)

    def test_blanks_around_a_key_are_a_slip_of_the_clipboard(self) -> None:
        """They are dropped."""
        assert require_key(SecretStr(" hush\n"), "CNAUGHT_API_KEY") == "hush"

    def test_settings_do_not_change(self) -> None:
        """They are a value."""
        with pytest.raises(ValidationError, match="frozen"):
            load_settings().impactflow_lease_s = 1  # type: ignore[misc]

    def test_a_settling_time_within_the_request_time_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Otherwise a request that is still on its way would be taken for one that had no effect."""
        monkeypatch.setenv("IMPACTFLOW_SETTLE_S", "20")
        monkeypatch.setenv("IMPACTFLOW_REQUEST_TIMEOUT_S", "20")
        with pytest.raises(ConfigurationError, match=r"IMPACTFLOW_SETTLE_S must be above IMPACTFLOW_REQUEST_TIMEOUT_S"):
            load_settings()

    def test_the_request_time_follows_from_a_short_settling_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Setting one time keeps the others in order."""
        monkeypatch.setenv("IMPACTFLOW_SETTLE_S", "4")

        assert load_settings().impactflow_request_timeout_s == 2.0


class TestWhereKeysGo:
    @pytest.mark.parametrize(
        ("key", "url"),
        [
            ("CNAUGHT_API_KEY", "CNAUGHT_URL"),
            ("ONECLICKIMPACT_API_KEY", "oneclickimpact_url"),
            ("IMPACTAPI_API_KEY", "IMPACTAPI_URL"),
            ("WICKED_REPORTS_API_KEY", "WICKED_REPORTS_URL"),
        ],
    )
    def test_a_file_in_the_folder_sends_no_key_of_the_environment_anywhere(
        self, monkeypatch: pytest.MonkeyPatch, key: str, url: str
    ) -> None:
        """Whoever left it there would get the key; both variables are named."""
        monkeypatch.setenv(key, "secret")
        Path(".env").write_text(f"{url}=https://evil.example\n", encoding="utf-8")
        with pytest.raises(ConfigurationError, match=f"{url.upper()} comes from .env, {key} from the environment"):
            load_settings()

    def test_a_file_may_hold_both(self) -> None:
        """As the README has it."""
        text = "CNAUGHT_API_KEY=secret\nCNAUGHT_URL=https://sandbox.example/v1\n"
        Path(".env").write_text(text, encoding="utf-8")
        assert load_settings().cnaught_url == "https://sandbox.example/v1"

    def test_a_url_of_the_environment_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file has no say."""
        monkeypatch.setenv("CNAUGHT_API_KEY", "secret")
        monkeypatch.setenv("CNAUGHT_URL", "https://ours.example/v1")
        Path(".env").write_text("CNAUGHT_URL=https://evil.example\n", encoding="utf-8")
        assert load_settings().cnaught_url == "https://ours.example/v1"


def test_no_password_of_the_ledger_shows() -> None:
    """Whoever prints the settings sees stars and no URL."""
    settings = Settings(impactflow_ledger_url="postgresql://us:secret-word@db/ledger")
    assert "secret-word" not in repr(settings)
    assert "secret-word" not in str(settings)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://ana:hush@db/prefect", "postgresql\\+asyncpg://"),
        ("postgresql+asyncpg://ana:hush@db/prefect?sslmode=require", "ssl=require"),
    ],
)
def test_f16_a_database_url_that_prefects_server_does_not_start_with_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str, message: str
) -> None:
    """By its variable, with the right form and without the password."""
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", url)
    with pytest.raises(ConfigurationError, match=f"PREFECT_SERVER_DATABASE_CONNECTION_URL.*{message}") as refused:
        load_prefect_api()
    assert "hush" not in str(refused.value)


def test_f16_urls_that_prefects_server_takes_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres by way of asyncpg, and SQLite."""
    for url in ("postgresql+asyncpg://ana:hush@db/prefect?ssl=require", "sqlite+aiosqlite:////srv/prefect.db"):
        monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", url)
        assert "hush" not in repr(load_prefect_api())
