"""Print the policy's exchange rates, renewed from a file of the European Central Bank, or write them to the policy."""

import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from impactflow.cli import console
from impactflow.errors import ConfigurationError
from impactflow.policy import load_policy
from impactflow.policy.ecb import read_reference_rates
from impactflow.policy.renewal import fx_block, renew, renewed_text


def renew_rates(
    reference: Path, on: date | None, currencies: Sequence[str], policy_file: Path, *, write: bool, as_json: bool
) -> bool:
    """
    Print the policy's ``fx`` with new rates, and the points that a person has to look at.

    Returns:
        Whether there is nothing to look at.

    Raises:
        ConfigurationError: A file cannot be used. Nothing was written.
    """
    policy = load_policy(policy_file)
    rates = read_reference_rates(reference, on)
    renewal = renew(policy, rates, currencies)
    if write:
        if policy.fx and rates.day < policy.fx.as_of and on is None:
            raise ConfigurationError(
                f"{reference} has rates of {rates.day}, and those of the policy are of {policy.fx.as_of}: download a"
                " newer file, or say --on DAY to go back"
            )
        text = policy_file.read_bytes().decode("utf-8-sig")
        _replace(policy_file, renewed_text(text, policy_file, policy, renewal.fx))
    if as_json:
        renewed = renewal.fx.model_dump() | {"kept": sorted(renewal.kept), "remarks": renewal.remarks}
        console.print_json(renewed | {"written": str(policy_file) if write else None})
    else:
        console.out.print(fx_block(renewal.fx, renewal.kept), markup=False, end="", soft_wrap=True)  # to be copied
        for remark in renewal.remarks:
            console.err.print(f"Look at this: {remark}.", markup=False)
        if write:
            console.err.print(f"{policy_file} has these rates now.", markup=False)
    return not renewal.remarks


def _replace(file: Path, text: str) -> None:
    """Replace a file's text at once: a run that reads meanwhile finds the whole old text or the whole new one."""
    target = file.resolve()  # for a link, the file that it leads to
    beside = target.with_name(f".{target.name}.new")
    try:
        beside.write_bytes(text.encode())
        shutil.copymode(target, beside)
        beside.replace(target)
    except OSError as failed:
        beside.unlink(missing_ok=True)
        hint = "leave --write out, and put what is printed in place of its fx block"
        raise ConfigurationError(f"{file} cannot be written ({failed.strerror}): {hint}") from None
