"""The names of flow runs in the UI's lists: action, store and days."""

from pathlib import Path

from prefect.runtime import flow_run

from impactflow.errors import ImpactError
from impactflow.policy import load_policy
from impactflow.settings import load_settings


def run_name(does: str, when: str = "") -> str:
    """
    Return the name of the run that is about to begin.

    Args:
        does: The action of the run.
        when: The days of the run; by default those of its parameters.
    """
    return " ".join(word for word in (does, _store(), _days() or when) if word)


def _store() -> str:
    """Return the store of the policy that the run is going to read; that takes some milliseconds."""
    named = flow_run.get_parameters().get("policy_file")
    try:
        return load_policy(Path(named) if named else load_settings().impactflow_policy).store
    except ImpactError:
        return ""


def _days() -> str:
    first, last = (flow_run.get_parameters().get(name) for name in ("from_day", "to_day"))
    match first, last:
        case None, None:
            return ""
        case None, _:
            return f"up to {last}"
        case _, None:
            return f"from {first}"
        case _:
            return f"{first} to {last}"
