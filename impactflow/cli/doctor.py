"""Check whether everything is set up. Every check is harmless and changes nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from impactflow.adoption import PurchasesUnknown, Scope, find_unknown
from impactflow.buying.hosts import hosts_in_words, wrong_hosts
from impactflow.buying.options import CheckedRule, check_options
from impactflow.buying.run import Run, open_run
from impactflow.buying.slips import find_slips
from impactflow.cli import silence
from impactflow.cli.console import out, print_marked
from impactflow.cli.ledgers import missing_file, none_made, require_ledger_folder, require_writable
from impactflow.cli.prefect_check import remarks_on_prefect
from impactflow.clients import open_wickedreports
from impactflow.errors import MISUSES, ConfigurationError, ImpactError, LedgerError
from impactflow.intake.senders.mapping import load_senders
from impactflow.ledger import Status
from impactflow.ledger.location import describe
from impactflow.models import ProviderName
from impactflow.policy import Policy, load_policy
from impactflow.settings import Settings, did_you_mean, load_settings, require_folder, unknown_variables
from impactflow.texts import counted
from impactflow.webhooks.sources import Secrets

#: The name of the check whether purchases are real.
LIVE = "live"
_BOUGHT = frozenset({Status.PLACED, Status.COMPLETED, Status.CANCELLING})


def show_findings(findings: Sequence[Mapping[str, Any]]) -> None:
    """Print each check and its result."""
    for finding in findings:
        print_marked(out, *_mark(finding), f"{finding['what']}: {finding['said']}")


def _mark(finding: Mapping[str, Any]) -> tuple[str, str]:
    """Return the mark that stands before a finding, and its colour."""
    if not finding["ok"]:
        return "wrong", "red"
    return ("note ", "yellow") if finding["note"] else ("ok   ", "green")


async def examine(policy_file: Path | None = None) -> list[dict[str, Any]]:
    """
    Check the policy, the ledger, and each account that the policy uses.

    Args:
        policy_file: The policy's path; by default IMPACTFLOW_POLICY.

    Returns:
        For each check: ``what``, whether it is ``ok``, whether it is only a ``note`` on something that a person may
        want to change, the text ``said``, and the exit ``status`` that it asks for.

    Raises:
        ConfigurationError: A setting is malformed, so that nothing else can be checked.
    """
    settings = load_settings()
    findings: list[dict[str, Any]] = []
    providers = list(ProviderName)
    policy: Policy | None = None
    try:
        policy = load_policy(policy_file or settings.impactflow_policy)
        providers = sorted({rule.provider for rule in policy.rules})
        findings.append(_ok("policy", f"{len(policy.rules)} rules for store {policy.store}"))
    except ConfigurationError as error:
        findings.append(_wrong("policy", error))
    try:
        findings.append(_ok("webhooks", _served(_secrets(settings))))
    except ConfigurationError as error:
        findings.append(_wrong("webhooks", error))
    findings += [
        _finding_of("settings", f"{name}: {did_you_mean(meant)}", status=2 if meant else 0, note=meant is None)
        for name, meant in unknown_variables().items()
    ]
    findings.append(_reports(settings))
    try:
        findings += [_ok("prefect", remark) for remark in remarks_on_prefect()]
    except ImpactError as error:
        findings.append(_wrong("prefect", error))
    absent = missing_file(settings) is not None
    try:
        require_ledger_folder(settings)
        require_writable(settings)
        with none_made(settings) as used:
            findings += await _examine(used, policy, providers, describe(settings.impactflow_ledger_url), absent=absent)
    except ImpactError as error:
        findings.append(_wrong("ledger", error))
    return findings


async def _examine(
    settings: Settings, policy: Policy | None, providers: Sequence[ProviderName], where: str, *, absent: bool
) -> list[dict[str, Any]]:
    """Check the ledger and the accounts, and whether the ledger knows the accounts' purchases; change nothing."""
    async with open_run(settings, "doctor") as run:
        findings = [await _finding("ledger", lambda: _check_ledger(run, where, absent=absent))]
        findings.append(await _finding("wickedreports", lambda: _read_orders(run)))
        accounts = [await _finding(name, partial(_check, run, name)) for name in providers]
        findings += await _pauses(run)
        if policy is not None:
            findings += await _slips(run, policy)
            findings += await _live(run, policy)
            findings += _rates(policy, run.clock.now().date())
            findings += await _never_announced(run, policy)
            findings += await _silent_senders(run, policy)
            findings += [_named(each) for each in await check_options(run.provider, policy)]
        if all(account["ok"] for account in accounts):
            accounts.append(await _finding("purchases", lambda: _compare(run, policy, providers, where)))
        return findings + accounts


async def _compare(run: Run, policy: Policy | None, providers: Sequence[ProviderName], where: str) -> str:
    """Check whether a run would be refused, and record nothing."""
    scope = Scope(run.ledger, policy)
    found = {name: some for name in providers if (some := await find_unknown(run.ledger, run.provider(name), scope))}
    if found:
        raise PurchasesUnknown(where, found)
    return "the ledger knows the newest that this store has bought"


def _reports(settings: Settings) -> dict[str, Any]:
    """Check the folder where reports are written."""
    try:
        require_folder(settings.impactflow_reports)
    except ConfigurationError as error:
        return _wrong("reports", error)
    return _ok("reports", str(settings.impactflow_reports.absolute()))


def _secrets(settings: Settings) -> Secrets:
    """Return the secrets that prove deliveries, those of other senders included."""
    return Secrets.of(settings, load_senders(settings.impactflow_senders).schemes)


def _served(secrets: Secrets) -> str:
    """Name the sources that the receiver would serve; serving none is not an error."""
    missing = ", ".join(f"{source} ({variable} is not set)" for source, variable in secrets.not_served.items())
    return f"served: {', '.join(secrets.served) or 'none'}" + (f"; not served: {missing}" if missing else "")


async def _never_announced(run: Run, policy: Policy) -> list[dict[str, Any]]:
    """Name the topics that have not come from a served sender yet: no error, but the webhook may not ask for them."""
    try:
        secrets, seen = _secrets(run.settings), await run.ledger.topics(policy.store)
    except (ConfigurationError, LedgerError):  # the finding on webhooks or on the ledger says so already
        return []
    missing = {
        scheme.source: sorted(topic for topic in scheme.topics - scheme.optional if (scheme.source, topic) not in seen)
        for scheme in secrets.schemes
        if scheme.source in secrets.signing
    }
    return [
        _note(
            "webhooks",
            f"{source} has not sent {', '.join(topics)} yet: see that its webhook lists all that are read",
        )
        for source, topics in missing.items()
        if topics
    ]


async def _silent_senders(run: Run, policy: Policy) -> list[dict[str, Any]]:
    """Report refused deliveries, and rules that cannot earn: no errors, since anyone can cause a refusal."""
    try:
        served = Secrets.of(run.settings).served
        refused = await silence.refused(run.ledger, run.clock.now().date(), policy.store)
    except (ConfigurationError, LedgerError):  # the finding on webhooks or on the ledger says so already
        return []
    findings = [_note("policy", remark) for remark in silence.without_products(policy, served)]
    return findings + [_note("webhooks", remark) for remark in silence.refusals_in_words(refused)]


def _rates(policy: Policy, today: date) -> list[dict[str, Any]]:
    """Report exchange rates that are old: no error, but worth renewing."""
    remark = policy.remark_on_rates(today)
    return [] if remark is None or policy.wrong_rates(today) else [_note("policy", remark)]


async def _pauses(run: Run) -> list[dict[str, Any]]:
    """Report the pauses that stand: no errors, since a person wants them."""
    try:
        return [_note("pause", each.in_words) for each in await run.ledger.pauses()]
    except LedgerError:  # the finding on the ledger says so already
        return []


async def _live(run: Run, policy: Policy) -> list[dict[str, Any]]:
    """Report whether purchases would be real, and hosts that a run would refuse."""
    try:
        used = await run.ledger.used(policy.store)
    except LedgerError:  # the finding on the ledger says so already
        used = frozenset()
    if wrong := wrong_hosts(policy, run.settings, used):
        return [_wrong(LIVE, ConfigurationError(each)) for each in wrong.values()]
    said = "not set" if policy.live is None else str(policy.live).lower()
    return [_ok(LIVE, f"{said}; {hosts_in_words(policy, run.settings) or 'no URL is set'}")]


async def _slips(run: Run, policy: Policy) -> list[dict[str, Any]]:
    """Report the policy's slips: purchases that no run should make."""
    try:
        slips = await find_slips(run.ledger, policy, run.clock.now().date())
    except LedgerError:  # the finding on the ledger says so already
        return []
    return [_wrong("policy", ConfigurationError(slip)) for slip in slips]


async def _check_ledger(run: Run, where: str, *, absent: bool) -> str:
    if absent:  # a temporary ledger is open, and says nothing about the file that a run will make
        return f"{where}: none yet, 0 purchases"
    await run.ledger.require_writes()
    if found := await run.ledger.shortcomings():
        raise LedgerError("; ".join(found))
    held = await run.ledger.counts()
    bought = sum(count for (_, status), count in held.items() if status in _BOUGHT)
    return f"{where}, {counted(bought, 'purchase')}; it takes writes and keeps what is committed"


async def _read_orders(run: Run) -> str:
    if run.settings.wicked_reports_api_key is None:
        return (
            "WICKED_REPORTS_API_KEY is not set, so orders come only from files (`impactflow place --orders FILE`) and"
            " from webhooks (`impactflow place --webhooks`)"
        )
    today = run.clock.now().date()
    account = open_wickedreports(run.settings, run.transport, run.clock)
    async for page in account.list_orders(today - timedelta(days=1), today, limit=1):
        return f"{counted(page.total or len(page.items), 'order')} since yesterday"
    return "no orders since yesterday"


async def _check(run: Run, name: ProviderName) -> str:
    return await run.provider(name).check()


async def _finding(what: str, check: Callable[[], Awaitable[str]]) -> dict[str, Any]:
    try:
        return _ok(what, await check())
    except ImpactError as error:
        return _wrong(what, error)


def _named(checked: CheckedRule) -> dict[str, Any]:
    """Report a name in a rule: it is wrong, or it could not be checked."""
    return _finding_of("policy", str(checked), status=2) if checked.wrong is not None else _note("policy", str(checked))


def _ok(what: str, sentence: str) -> dict[str, Any]:
    return _finding_of(what, sentence)


def _note(what: str, sentence: str) -> dict[str, Any]:
    """Report something that is not wrong, and that a person may want to change."""
    return _finding_of(what, sentence, note=True)


def _wrong(what: str, error: ImpactError) -> dict[str, Any]:
    return _finding_of(what, str(error), status=2 if isinstance(error, MISUSES) else 1)


def _finding_of(what: str, sentence: str, *, status: int = 0, note: bool = False) -> dict[str, Any]:
    return {"what": what, "ok": not status, "note": note, "said": sentence, "status": status}
