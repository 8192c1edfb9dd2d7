"""
Orders in: read from Wicked Reports or from a file, or told by webhooks; planned page by page.

    source.py          what planning asks of a source of orders, and the names that orders go by
    wickedreports.py   the orders of Wicked Reports, whose pages shift while they are read
    lines.py           a CSV file or JSON lines, as one mapping of field to content for each line
    file.py            the orders of such a file
    problems.py        what could not be read of its lines, each cause once
    columns.py         the columns that a policy needs
    senders/           what a stored webhook delivery means, by sender
    deliveries.py      takes up the stored deliveries
    planning.py        reads a window of orders, asks the policy what each has earned, and makes that durable

What an order earns is left to ``policy``, what is known already to ``ledger``. Nothing is bought here.
"""
