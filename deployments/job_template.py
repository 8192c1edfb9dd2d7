"""
Apply this project's choices to Prefect's job template for Kubernetes.

Renews ``kubernetes/base-job-template.json`` after an update of Prefect; in an environment with ``prefect-kubernetes``::

    prefect work-pool get-default-base-job-template --type kubernetes > default.json
    python -m deployments.job_template < default.json > deployments/kubernetes/base-job-template.json
"""

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

#: The defaults of the template's variables that differ from Prefect's. A finished job stays for an hour.
_DEFAULTS = {
    "namespace": "impactflow",
    "image": "registry.example.com/impactflow:0.1.0",
    "image_pull_policy": "IfNotPresent",
    "finished_job_ttl": 3600,
    "pod_watch_timeout_seconds": 300,
    "cpu_request": "250m",
    "memory_request": "256Mi",
    "memory_limit": "512Mi",
}
#: The additions to the container of a run: the keys, the policy, and no more rights than it needs.
_CONTAINER = {
    "envFrom": [{"secretRef": {"name": "impactflow"}}],
    "securityContext": {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    },
    "volumeMounts": [
        {"name": "policy", "mountPath": "/app/policy.yaml", "subPath": "policy.yaml", "readOnly": True},
    ],
}
_VOLUMES = [{"name": "policy", "configMap": {"name": "impactflow-policy"}}]


def with_our_choices(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return Prefect's default template with this project's image, secret, policy and limits."""
    ours: dict[str, Any] = deepcopy(dict(template))
    pod = ours["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    pod["containers"][0] |= _CONTAINER
    pod["volumes"] = _VOLUMES
    for name, default in _DEFAULTS.items():
        ours["variables"]["properties"][name]["default"] = default
    return ours


def main() -> None:
    """Read Prefect's template from standard input, write ours to standard output."""
    sys.stdout.write(json.dumps(with_our_choices(json.load(sys.stdin)), indent=2) + "\n")


if __name__ == "__main__":
    main()
