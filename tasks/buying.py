"""The loop of ``impactflow.buying.loop``, with each step as a task, so that Prefect's pages show the steps."""

from impactflow.buying.loop import Steps, buy
from impactflow.buying.rounds import Round
from impactflow.models import ProviderName
from impactflow.policy import Policy
from tasks.checking import check_ledger
from tasks.context import current_run
from tasks.placements import place_batch
from tasks.reconciliation import resolve_doubts


async def buy_all(policy: Policy, patience_s: float) -> dict[ProviderName, Round]:
    """Resolve doubts and place at every provider side by side; see ``impactflow.buying.loop``."""

    async def check(provider: ProviderName) -> Round | None:
        return (await check_ledger([provider], policy)).get(provider)

    async def resolve(provider: ProviderName) -> Round:
        return await resolve_doubts(provider, policy.store)

    async def place(provider: ProviderName) -> Round:
        return await place_batch(provider, policy)

    return await buy(current_run(), policy, patience_s, Steps(check, resolve, place))
