"""
The four clients, and how to open them from the settings.

A client builds requests and reads answers in the provider's words; ``providers`` and ``intake`` turn those into ours.
Each client needs a transport (``http.open_transport``). Its owner closes it; several clients may share one.
"""

from impactflow.clients.cnaught import CNaughtClient, open_cnaught
from impactflow.clients.impactapi import ImpactAPIClient, open_impactapi
from impactflow.clients.oneclickimpact import OneClickImpactClient, open_oneclickimpact
from impactflow.clients.wickedreports import WickedReportsClient, open_wickedreports

__all__ = [
    "CNaughtClient",
    "ImpactAPIClient",
    "OneClickImpactClient",
    "WickedReportsClient",
    "open_cnaught",
    "open_impactapi",
    "open_oneclickimpact",
    "open_wickedreports",
]
