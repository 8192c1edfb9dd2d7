"""
Every operation that the four providers document, read from their references by hand: what the table is held against.

``tests/operations/table.py`` says what of the project serves each of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Documented:
    """
    One operation of a reference.

    Args:
        provider: Whose it is, as in the policy.
        name: What the reference calls it.
        request: Its method and path below the base URL.
        is_addition: Whether the reference leaves it out and the vendor's current documentation or SDK has it.
    """

    provider: str
    name: str
    request: str
    is_addition: bool = False


def _of(provider: str, text: str, *, are_additions: bool = False) -> list[Documented]:
    lines = (line.split(" · ") for line in text.strip().splitlines())
    return [Documented(provider, name.strip(), request.strip(), are_additions) for name, request in lines]


WICKED_REPORTS = """
List all contacts · GET /contacts
Retrieve a single contact · GET /contacts/{contactId}
List all clicks · GET /clicks
Retrieve the clicks of a specific contact · GET /contacts/{contactId}/clicks
List all orders · GET /orders
Retrieve the orders of a single contact · GET /contacts/{contactId}/orders
"""
ONECLICKIMPACT = """
WhoAmI · GET /v1/whoami
Plant Trees · POST /v1/plant_tree
Clean Ocean · POST /v1/clean_ocean
Capture Carbon · POST /v1/capture_carbon
Donate Money · POST /v1/donate_money
Aggregated Impact · GET /v1/impact
Daily Impact · GET /v1/impact/daily
Records · GET /v1/records
Customer Records · GET /v1/customer_records
Customers · GET /v1/customers
Track · GET /v1/track
"""
ONECLICKIMPACT_ADDITIONS = """
Cancel an impact · POST /v1/cancel_impact
Restore coral · POST /v1/restore_coral
Projects · GET /v1/projects
Project by id · GET /v1/projects/{id}
"""
CNAUGHT = """
Get List of Orders · GET /orders
Submit Generic Offset Order · POST /orders
Submit Vehicle Ride Offset Order · POST /orders/ride
Get Order By Id · GET /orders/{id}
Cancel Order · POST /orders/{id}/cancel
Get Generic Offset Price Quote · POST /quotes
Get Vehicle Ride Offset Price Quote · POST /quotes/ride
Get Climate Impact Data · GET /impact/data
Get Hosted Climate Impact Page Configuration · GET /impact/hosted-page-config
Get List of Subaccounts · GET /subaccounts
Create Subaccount · POST /subaccounts
Get Subaccount By Id · GET /subaccounts/{id}
"""
IMPACTAPI = """
Campaigns · GET /campaigns
Customers: list · GET /customers
Customers: create · POST /customers
Customers: get · GET /customers/{id}
Customers: update · PATCH /customers/{id}
Customers: delete · DELETE /customers/{id}
Customers: impact metrics · GET /customers/{id}/impact_metrics
Customers: donation intents · GET /customers/{id}/donation_intents
Donation intents: create · POST /donation_intents
Donation intents: list · GET /donation_intents
Donation intents: get · GET /donation_intents/{id}
Donation intents: cancel · PUT /donation_intents/{id}/cancel
Sessions: create · POST /sessions
Sessions: get · GET /sessions/{sessionId}
Sessions: update · PATCH /sessions/{sessionId}
Sessions: allocations · PUT /sessions/{sessionId}/allocations
Sessions: choose campaign · POST /sessions/{sessionId}/choose_campaign
Sessions: process · POST /sessions/{sessionId}/process
Sessions: confirm · POST /sessions/{sessionId}/confirm
Vendors: list · GET /vendors
Vendors: create · POST /vendors
Vendors: get · GET /vendors/{id}
Vendors: update · PATCH /vendors/{id}
Vendors: delete · DELETE /vendors/{id}
Vendors: impact metrics · GET /vendors/{id}/impact_metrics
Vendors: donation intents · GET /vendors/{id}/donation_intents
"""
DOCUMENTED = [
    *_of("wickedreports", WICKED_REPORTS),
    *_of("oneclickimpact", ONECLICKIMPACT),
    *_of("oneclickimpact", ONECLICKIMPACT_ADDITIONS, are_additions=True),
    *_of("cnaught", CNAUGHT),
    *_of("impactapi", IMPACTAPI),
]
