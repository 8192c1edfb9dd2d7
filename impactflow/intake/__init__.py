"""
Intake: orders read from Wicked Reports or from a file, or reported by webhooks; planned page by page.

    source.py          the interface of a source of orders
    wickedreports.py   the orders of Wicked Reports, whose pages shift while they are read
    lines.py           a CSV file or JSON lines, as one mapping of field to content for each line
    file.py            the orders of such a file
    problems.py        the problems of its lines, each cause once
    columns.py         the columns that a policy needs
    senders/           the meaning of a stored webhook delivery, by sender
    deliveries.py      processes the stored deliveries
    planning.py        reads a window of orders, asks the policy what each has earned, and makes that durable
    estimate.py        what policies would have bought over past orders, without a ledger

``policy`` decides the impacts of an order; ``ledger`` knows what is known already. Nothing is bought here.
"""
