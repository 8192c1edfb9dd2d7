"""
The impacts that each order earns, as the policy file says.

    policy.yaml ──reading──▶ Policy ──earnings(order)──▶ what is earned, what is not and why, what is held

Everything but ``load_policy``, which reads one file, is pure: no clock, no database, no network. Numbers are exact
from the file's text to the one rounding at the end. ``buying`` buys, ``ledger`` remembers.
"""

from impactflow.policy.document import Fx, Policy, policy_schema
from impactflow.policy.reading import load_policy

__all__ = ["Fx", "Policy", "load_policy", "policy_schema"]
