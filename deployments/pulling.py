"""
The pull step of ``prefect.yaml``: find the project on the machine of a run.

Prefect's own step reads an unset variable as an empty text and completes; the run then crashes without naming it.
"""

import os
from pathlib import Path

from impactflow.errors import ConfigurationError


def go_to_impactflow_home() -> dict[str, str]:
    """
    Change to the project's folder on this machine, or in this image.

    Raises:
        ConfigurationError: IMPACTFLOW_HOME is not set, or does not name the project's folder.
    """
    home = os.environ.get("IMPACTFLOW_HOME")
    if not home:
        raise ConfigurationError(
            "IMPACTFLOW_HOME is not set where this run takes place: set it for the worker to the project's folder there"
        )
    if not (Path(home) / "flows").is_dir():
        raise ConfigurationError(
            f"IMPACTFLOW_HOME names {home}, which has no folder flows where this run takes place: set it for the worker"
            " to the project's folder there"
        )
    os.chdir(home)
    return {"directory": home}
