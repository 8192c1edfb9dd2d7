"""Exchange rates: the European Central Bank's files, made-up figures in their shapes; the policy's block; its age."""

import json
import zipfile
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from impactflow.cli import main
from impactflow.cli.commands import app
from impactflow.errors import ConfigurationError
from impactflow.policy import Policy, load_policy
from impactflow.policy.ecb import SIGNIFICANT_DIGITS, ReferenceRates, read_reference_rates
from impactflow.policy.reading import parse_policy
from impactflow.policy.renewal import renew, renewed_text

DAY = date(2026, 9, 23)
XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" \
xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
\t<gesmes:subject>Reference rates</gesmes:subject>
\t<gesmes:Sender>
\t\t<gesmes:name>European Central Bank</gesmes:name>
\t</gesmes:Sender>
\t<Cube>
\t\t<Cube time='2026-09-23'>
\t\t\t<Cube currency='USD' rate='1.1600'/>
\t\t\t<Cube currency='JPY' rate='180.20'/>
\t\t\t<Cube currency='GBP' rate='0.85950'/>
\t\t\t<Cube currency='HUF' rate='391.25'/>
\t\t</Cube>
\t</Cube>
</gesmes:Envelope>
"""
DAILY = "Date, USD, JPY, GBP, HUF, \n23 September 2026, 1.1600, 180.20, 0.85950, 391.25, \n"
HISTORY = """\
Date,USD,JPY,GBP,HUF,RUB,ISK,
2026-09-23,1.16,180.2,0.8595,391.25,N/A,138,
2026-09-22,1.15,180,0.86,390,N/A,139,
2026-09-18,1.14,179,0.87,389,N/A,140,
2022-03-01,1.1162,128.21,0.83,375,117.201,142,
2015-06-01,1.0944,136.5,0.7172,309,58,N/A,
2008-12-03,1.2623,118,0.8519,263,35.4,290,
"""
POLICY = """\
# What an order does.
store: acme
fx:
  as_of: 2026-09-01  # looked up by Ada
  usd_per:
    EUR: 1.15   # the main one
    GBP: "1.3"
rules:
- {slot: giving, provider: impactapi, impact: donate, campaign: forest, quantity: {percent_of_order: 1}}   # as typed
"""


@pytest.fixture
def made(tmp_path: Path):
    """Makes a file of this text or these bytes, or the zip of one."""

    def make(content: str | bytes, name: str = "eurofxref", *, zipped: int = 0) -> Path:
        file = tmp_path / name
        if zipped:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
                for number in range(zipped):
                    packed.writestr(f"{name}-{number}.csv", content)
        else:
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return make


@pytest.fixture
def policy_file(made) -> Path:
    """A policy in a folder of its own files."""
    return made(POLICY.replace('"1.3"', "1.3"), "policy.yaml")


def rates_of(**per_euro: str) -> ReferenceRates:
    """Reference rates of one day."""
    known = {currency: Decimal(rate) for currency, rate in per_euro.items()}
    return ReferenceRates(DAY, {"EUR": Decimal(1)} | known, dict.fromkeys(known, DAY))


def policy_of(**usd_per: str) -> Policy:
    """A policy with these rates."""
    rule = {"slot": "trees", "provider": "oneclickimpact", "impact": "plant_trees", "quantity": {"per_order": 1}}
    rates = {currency: Decimal(rate) for currency, rate in usd_per.items()}
    return Policy.model_validate({"store": "acme", "fx": {"as_of": "2026-09-01", "usd_per": rates}, "rules": [rule]})


class TestWhatIsRead:
    @pytest.mark.parametrize(
        ("content", "zipped"),
        [
            (XML, 0),
            (DAILY, 0),
            (DAILY, 1),
            (HISTORY, 0),
            (HISTORY, 1),
            ("\ufeff" + DAILY, 0),
            ("\ufeff" + XML, 0),
            (DAILY.replace("\n", "\r\n"), 0),
            (HISTORY.replace(",\n", "\n"), 0),
        ],
    )
    def test_each_documented_shape_says_the_same(self, made, content: str, zipped: int) -> None:
        """The newest day counts, and zeros at the end of a figure make no difference."""
        rates = read_reference_rates(made(content, zipped=zipped))
        assert rates.day == DAY
        assert {name: str(rates.usd_per(name)) for name in ("EUR", "GBP", "HUF", "JPY", "USD")} == {
            "EUR": "1.16",
            "GBP": "1.34962",
            "HUF": "0.00296486",
            "JPY": "0.00643729",
            "USD": "1",
        }

    def test_the_newest_row_counts_wherever_it_stands(self, made) -> None:
        """Also in a file that was sorted the other way round."""
        head, *rows = HISTORY.splitlines()
        assert read_reference_rates(made("\n".join([head, *reversed(rows)]))).day == DAY

    @pytest.mark.parametrize(
        ("on", "day"),
        [("2026-09-22", "2026-09-22"), ("2026-09-21", "2026-09-18"), ("2026-09-20", "2026-09-18"), ("2026-09-28", DAY)],
    )
    def test_a_day_without_rates_has_those_of_the_last_business_day(self, made, on: str, day: Any) -> None:
        """Never those of a later day, which nobody could know."""
        rates = read_reference_rates(made(HISTORY), date.fromisoformat(on))
        assert rates.day.isoformat() == str(day)

    @pytest.mark.parametrize("on", ["2008-12-02", "2019-01-01", "2026-09-29"])
    def test_a_day_far_from_any_row_has_no_rates(self, made, on: str) -> None:
        """The file ends before it, begins after it, or has a hole."""
        with pytest.raises(ConfigurationError, match=f"no rates of {on} or the days before it .*2008-12-03 to 2026"):
            read_reference_rates(made(HISTORY), date.fromisoformat(on))

    def test_each_day_of_the_history_in_xml_is_a_day_of_its_own(self, made) -> None:
        """As in eurofxref-hist-90d.xml."""
        older = "<Cube time='2026-09-22'><Cube currency='USD' rate='1.15'/></Cube>"
        file = made(XML.replace("\t</Cube>\n</ges", f"{older}</Cube>\n</ges"))
        assert read_reference_rates(file).usd_per("GBP") is not None
        assert read_reference_rates(file, date(2026, 9, 22)).usd_per("EUR") == Decimal("1.15")
        assert read_reference_rates(file, date(2026, 9, 22)).usd_per("GBP") is None

    def test_a_suspended_currency_has_no_rate_and_a_last_day(self, made) -> None:
        """RUB ended in 2022; ISK paused and came back."""
        now, then = read_reference_rates(made(HISTORY)), read_reference_rates(made(HISTORY), date(2015, 6, 1))
        assert (now.usd_per("RUB"), now.last_days["RUB"]) == (None, date(2022, 3, 1))
        assert (then.usd_per("ISK"), then.last_days["ISK"]) == (None, date(2008, 12, 3))
        assert now.usd_per("ISK") == Decimal("0.0084058")

    @given(
        st.decimals("0.0001", 100_000, places=4, allow_nan=False),
        st.decimals("0.01", 100_000, places=4, allow_nan=False),
    )
    def test_usd_and_back_is_exact_to_the_rounding(self, usd: Decimal, other: Decimal) -> None:
        """Half a unit in the last of the documented digits, at most."""
        rate = rates_of(USD=str(usd), XXX=str(other)).usd_per("XXX")
        assert rate is not None
        assert len(rate.as_tuple().digits) <= SIGNIFICANT_DIGITS or rate == rate.to_integral_value()
        assert abs(Fraction(rate) * Fraction(other) / Fraction(usd) - 1) <= Fraction(5, 10**SIGNIFICANT_DIGITS)


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (XML.replace("?>\n", f"?>\n{BOMB}\n", 1), "DOCTYPE"),
            ("<!DOCTYPE html><html><body>blocked</body></html>", "DOCTYPE, as web pages have"),
            ("<html><body>blocked<br></body></html>", "torn or no XML (line 1"),
            ("<html/>", "holds no reference rates"),
            (XML[: XML.index("HUF")], "torn or no XML"),
            (XML.replace("391.25", "391,25"), "'391,25' where the rate for HUF should stand"),
            (XML.replace("391.25", "0.00"), "'0.00' where the rate for HUF should stand"),
            (XML.replace("391.25", "-1"), "'-1' where the rate for HUF"),
            (XML.replace("391.25", "1e9"), "'1e9' where the rate for HUF"),
            (XML.replace("'HUF'", "'JPY'"), "has JPY twice"),
            (XML.replace("2026-09-23", "2026-02-30"), "'2026-02-30' where a day should stand"),
            (XML.replace("'USD'", "'AUD'"), "no rate for USD on 2026-09-23"),
            (DAILY.replace(",", ";"), 'its first line is not "Date, USD, ..."'),
            (DAILY[: DAILY.index("391")], "line 2: 4 values for 5 columns"),
            (HISTORY[: HISTORY.rindex("290") + 2], "line 7: 6 values for 7 columns"),
            (HISTORY.replace("2026-09-22", "2026-09-23"), "has 2026-09-23 twice"),
            (HISTORY.replace("RUB", "rub"), "'rub' where a currency should stand"),
            (DAILY.replace("September", "szeptember"), "'23 szeptember 2026' where a day should stand"),
            (DAILY.replace("September", "Szeptember"), "where a day should stand"),
            ("Date, USD, \n", "holds no reference rates"),
            ("KEY,FREQ,CURRENCY,TIME_PERIOD,OBS_VALUE\r\n", "its first line"),
            ("", "its first line"),
            (b"\xff\xfe\x00", "is no text"),
            (b"PK\x03\x04 torn", "a zip that cannot be unpacked"),
        ],
    )
    def test_a_bad_file_is_told_in_one_line_that_says_what_to_do(self, made, content: Any, message: str) -> None:
        """With the file's name first and the way out last."""
        with pytest.raises(ConfigurationError) as refused:
            read_reference_rates(made(content))
        text = str(refused.value)
        assert message in text
        assert text.startswith(str(made(content)))
        assert text.endswith("from the European Central Bank again, and give it as it is")
        assert "\n" not in text

    def test_a_zip_holds_one_file(self, made) -> None:
        """Which of several is meant cannot be known."""
        with pytest.raises(ConfigurationError, match="a zip of 2 files"):
            read_reference_rates(made(DAILY, zipped=2))

    def test_a_file_without_end_is_not_read_to_its_end(self, made) -> None:
        """Neither a zip that grows a thousandfold."""
        with pytest.raises(ConfigurationError, match="larger than 32 MiB"):
            read_reference_rates(made(b" " * 40_000_000, zipped=1))

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        """With the reason of the operating system."""
        with pytest.raises(ConfigurationError, match=r"nowhere\.xml cannot be read \(No such file"):
            read_reference_rates(tmp_path / "nowhere.xml")


class TestRenewal:
    @pytest.mark.parametrize(
        ("usd_per", "message"),
        [
            ({"EUR": "0.862"}, "EUR: the policy says 0.862, the reference rate is 1.16: the policy's looks inverse"),
            ({"HUF": "337"}, "looks inverse, for what is asked is USD for one HUF"),
            (
                {"HUF": "391.25"},
                "HUF: the policy says 391.25, the reference rate is 0.00296486, more than a factor of 2",
            ),
            ({"GBP": "0.6"}, "more than a factor of 2 away"),
        ],
    )
    def test_a_present_rate_that_is_far_off_is_told(self, made, usd_per: dict[str, str], message: str) -> None:
        """An inverse one is called so, also where it is near."""
        (remark,) = renew(policy_of(**usd_per), read_reference_rates(made(XML))).remarks
        assert message in remark

    @pytest.mark.parametrize("usd_per", [{"EUR": "1.03"}, {"EUR": "0.97"}, {"GBP": "0.7"}, {"CHF": "1.001"}])
    def test_the_market_alone_is_no_slip(self, usd_per: dict[str, str]) -> None:
        """A rate near 1 is near its inverse, too: that says nothing."""
        rates = rates_of(USD="1.05", GBP="0.85", CHF="1.0499")
        assert renew(policy_of(**usd_per), rates).remarks == ()

    def test_a_currency_without_a_rate_keeps_the_old_one_or_is_left_out(self, made) -> None:
        """A person is told of both; nothing that was known is lost."""
        rates = read_reference_rates(made(HISTORY))
        renewed = renew(policy_of(EUR="1.15", RUB="0.0123"), rates, ["UAH"])
        assert renewed.fx.usd_per == {"EUR": Decimal("1.16"), "RUB": Decimal("0.0123")}
        assert renewed.kept == {"RUB"}
        suspended, unknown = renewed.remarks
        assert suspended == (
            "there is no reference rate for RUB on 2026-09-23, the last in the file is of 2022-03-01:"
            " the policy's rate of 0.0123 is kept, look it up elsewhere"
        )
        assert unknown == "there is no reference rate for UAH on 2026-09-23: left out"

    def test_every_currency_that_a_rule_names_is_renewed(self, made) -> None:
        """In its conditions, or as what an amount is counted in."""
        share = {"quantity": 1, "per": 100, "currency": "GBP"}
        rule = {"slot": "trees", "provider": "oneclickimpact", "impact": "plant_trees"}
        policy = Policy.model_validate(
            {
                "store": "acme",
                "rules": [
                    rule | {"quantity": {"per_amount": share}, "when": {"currencies": ["USD", "HUF"]}},
                ],
            }
        )
        assert list(renew(policy, read_reference_rates(made(XML))).fx.usd_per) == ["GBP", "HUF"]

    def test_nothing_to_renew_is_told(self, made) -> None:
        """With the way to ask for something."""
        rates = read_reference_rates(made(HISTORY))
        for policy, asked in ((policy_of(), ()), (policy_of(RUB="0.01"), ()), (policy_of(), ("UAH",))):
            with pytest.raises(ConfigurationError, match="ask for others, such as --currencies EUR,GBP"):
                renew(policy, rates, asked)


FX = "fx:\n  as_of: 2026-09-01\n  usd_per: {EUR: 1.15}\n"
REST = "rules:\n- {slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {per_order: 1}}\n"


class TestThePolicyText:
    def written(self, text: str, *asked: str) -> str:
        file = Path("policy.yaml")
        policy = parse_policy(text, file)
        rates = rates_of(USD="1.16", GBP="0.8", HUF="400")
        return renewed_text(text, file, policy, renew(policy, rates, asked).fx)

    def test_only_figures_change(self) -> None:
        """Comments, blanks and the order stay."""
        text = POLICY.replace('"1.3"', "1.3")
        assert self.written(text) == text.replace("2026-09-01", "2026-09-23").replace("1.15", "1.16").replace(
            "1.3", "1.45"
        )

    @pytest.mark.parametrize(
        ("fx", "becomes"),
        [
            (FX, "fx:\n  as_of: 2026-09-23\n  usd_per: {HUF: 0.0029, EUR: 1.16}\n"),
            (
                "fx:\n  as_of: '2026-09-01'\n  usd_per:\n      # a note\n      EUR: 1.15 # main\n",
                "fx:\n  as_of: 2026-09-23\n  usd_per:\n      # a note\n      HUF: 0.0029\n      EUR: 1.16 # main\n",
            ),
            (FX.replace("EUR: 1.15", ""), "fx:\n  as_of: 2026-09-23\n  usd_per: {HUF: 0.0029}\n"),
            (
                "fx: {as_of: 2026-09-01, usd_per: {USD: 1}}\n",
                "fx: {as_of: 2026-09-23, usd_per: {HUF: 0.0029, USD: 1}}\n",
            ),
        ],
    )
    def test_a_currency_is_added_in_the_style_of_the_others(self, fx: str, becomes: str) -> None:
        """Whether they stand in braces or each on a line."""
        assert self.written("store: a\n" + fx + REST, "HUF") == "store: a\n" + becomes + REST

    @pytest.mark.parametrize("text", ["store: a\n" + REST, "store: a\n" + REST.rstrip()])
    def test_a_policy_without_rates_gets_them_at_its_end(self, text: str) -> None:
        """With or without a line end there."""
        block = "fx:\n  as_of: 2026-09-23\n  usd_per:\n    HUF: 0.0029\n"
        assert self.written(text, "HUF") == text.rstrip() + "\n" + block

    def test_lines_keep_the_ends_of_another_system(self) -> None:
        """New lines, too."""
        fx = "fx:\n  as_of: 2026-09-01\n  usd_per:\n    EUR: 1.15\n"
        text = self.written(("store: a\n" + fx + REST).replace("\n", "\r\n"), "HUF")
        assert text.count("\n") == text.count("\r\n") == 8

    @pytest.mark.parametrize(
        "text",
        [
            "store: a\nfx:\n" + REST,
            "store: a\n" + FX.replace("{EUR: 1.15}", "{EUR: &main 1.15, GBP: *main}") + REST,
            "store: a\n" + FX.replace("2026-09-01", "&day 2026-09-01") + "not_before: *day\n" + REST,
            "store: a\n" + REST + "...\n",
            "{store: a, rules: [{slot: t, provider: oneclickimpact, impact: plant_trees, quantity: {per_order: 1}}]}\n",
        ],
    )
    def test_what_cannot_be_edited_safely_is_left_to_a_person(self, text: str) -> None:
        """What would come out is read again and must mean the same, but for the rates."""
        with pytest.raises(ConfigurationError, match="replace its fx block by hand"):
            self.written(text, "HUF")


class TestTheCommand:
    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(app, ["rates", *map(str, arguments)])

    def test_it_prints_the_block_and_writes_nothing(self, made, policy_file: Path) -> None:
        """Unless it is asked to."""
        ended = self.run("--ecb", made(DAILY), "--policy", policy_file, "--currencies", "HUF")
        assert (ended.exit_code, ended.stderr) == (0, "")
        assert ended.stdout == (
            "fx:\n  as_of: 2026-09-23\n  usd_per:\n    EUR: 1.16\n    GBP: 1.34962\n    HUF: 0.00296486\n"
        )
        assert "looked up by Ada" in policy_file.read_text()
        assert load_policy(policy_file).fx.as_of == date(2026, 9, 1)  # type: ignore[union-attr]

    def test_it_writes_into_the_policy(self, made, policy_file: Path) -> None:
        """Also through a link, and nothing else is left in the folder."""
        policy_file.chmod(0o640)
        link = policy_file.with_name("link.yaml")
        link.symlink_to(policy_file)
        file = made(HISTORY, zipped=1)
        ended = self.run("--ecb", file, "--policy", link, "--write", "--on", "2026-09-20")
        assert ended.exit_code == 0
        rates = load_policy(policy_file).fx
        assert rates is not None
        assert (rates.as_of, rates.usd_per["EUR"]) == (date(2026, 9, 18), Decimal("1.14"))
        assert link.is_symlink()
        assert policy_file.stat().st_mode & 0o777 == 0o640
        assert {each.name for each in policy_file.parent.iterdir()} == {"policy.yaml", "link.yaml", file.name}

    def test_one_json_object_says_all(self, made, policy_file: Path) -> None:
        """Exact figures as text; exit status 1 where a person has to look at something."""
        ended = self.run("--ecb", made(XML), "--policy", policy_file, "--currencies", "RUB", "--json")
        assert ended.exit_code == 1
        assert json.loads(ended.stdout) == {
            "as_of": "2026-09-23",
            "usd_per": {"EUR": "1.16", "GBP": "1.34962"},
            "kept": [],
            "remarks": ["there is no reference rate for RUB on 2026-09-23: left out"],
            "written": None,
        }

    def test_an_old_file_is_not_written_over_newer_rates(self, made, policy_file: Path) -> None:
        """A download of last year lies where the new one was meant to be; a person may say the day."""
        old = made(DAILY.replace("2026", "2025"))
        before = policy_file.read_text()
        shown = self.run("--ecb", old, "--policy", policy_file)
        assert (shown.exit_code, "the policy's of 2026-09-01 are newer" in shown.stderr) == (1, True)
        with pytest.raises(ConfigurationError, match="or say --on DAY to go back"):
            CliRunner().invoke(
                app, ["rates", "--ecb", str(old), "--policy", str(policy_file), "--write"], catch_exceptions=False
            )
        assert policy_file.read_text() == before
        self.run("--ecb", old, "--policy", policy_file, "--write", "--on", "2025-09-23")
        assert "as_of: 2025-09-23" in policy_file.read_text()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--ecb", "{policy}"], "no file of reference rates"),
            (["--ecb", "{folder}"], "cannot be read (Is a directory)"),
            (["--ecb", "{daily}", "--currencies", "huf"], "codes such as EUR,GBP"),
            (["--ecb", "{daily}", "--on", "2026-02-30"], "2026-02-30"),
        ],
    )
    @pytest.mark.parametrize("write", [[], ["--write"]])
    def test_what_cannot_be_used_ends_with_status_2(
        self, made, policy_file: Path, monkeypatch, capsys, arguments: list[str], message: str, write: list[str]
    ) -> None:
        """One object for a program, no traceback, and the policy as it was."""
        before = policy_file.read_text()
        places = {"policy": policy_file, "folder": policy_file.parent, "daily": made(DAILY)}
        given_ = [each.format(**places) for each in arguments]
        monkeypatch.setattr(
            "sys.argv", ["impactflow", "rates", "--policy", str(policy_file), "--json", *given_, *write]
        )
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code, policy_file.read_text()) == (2, before)
        assert message in json.loads(capsys.readouterr().out)["error"]


class TestTheAge:
    @pytest.mark.parametrize(
        ("today", "message"),
        [
            (date(2026, 9, 1), None),
            (date(2026, 10, 1), None),
            (date(2026, 10, 2), "the exchange rates are 31 days old (fx.as_of is 2026-09-01): `impactflow rates"),
            (date(2026, 8, 31), None),  # already tomorrow, east of Greenwich
            (date(2026, 8, 30), "fx.as_of is 2026-09-01, which is still to come"),
        ],
    )
    def test_old_rates_are_told(self, today: date, message: str | None) -> None:
        """After a month; and so is a day that is still to come."""
        remark = policy_of(EUR="1.15").remark_on_rates(today)
        assert (remark is None) == (message is None)
        assert remark is None or remark.startswith(str(message))

    def test_a_policy_without_rates_has_none_that_are_old(self) -> None:
        """There is nothing to renew."""
        assert policy_of().model_copy(update={"fx": None}).remark_on_rates(date(2030, 1, 1)) is None

    @pytest.mark.parametrize(
        ("as_of", "ok", "message"),
        [("2025-01-01", True, "days old (fx.as_of is 2025-01-01)"), ("2099-01-01", False, "which is still to come")],
    )
    def test_doctor_tells_it(self, policy_file: Path, monkeypatch, as_of: str, ok: bool, message: str) -> None:
        """Old rates are nothing wrong; a day that is still to come is."""
        policy_file.write_text(policy_file.read_text().replace("2026-09-01", as_of))
        monkeypatch.chdir(policy_file.parent)
        monkeypatch.setenv("IMPACTFLOW_POLICY", str(policy_file))
        ended = CliRunner().invoke(app, ["doctor", "--json"])
        checks = [check for check in json.loads(ended.stdout)["checks"] if check["what"] == "policy"]
        assert [check["ok"] for check in checks if message in check["said"]] == [ok]
