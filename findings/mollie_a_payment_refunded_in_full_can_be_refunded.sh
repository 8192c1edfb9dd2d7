#!/usr/bin/env bash
# mollie-api-python 4.0.0 says that a payment can be refunded as soon as Mollie tells how much of it remains, also where
# 0.00 remains: can_be_refunded() asks whether there is an amount and not how large it is. A payment of 10.00 of which
# 10.00 were given back can be refunded again as far as the SDK knows, and is told apart by comparing amount_remaining
# oneself, a text in a dict. Before anything is paid there is no amount, and the answer is no.
# Guessed: what was refunded in full cannot be refunded. It matters where a button or a job that refunds asks the SDK
# first, and a second refund becomes an error of the API that nobody expects.
# Seen (Python 3.11):
#   open, nothing refunded, nothing told to remain: False
#   paid, 0.00 refunded, 10.00 remaining: True
#   paid, 4.00 refunded, 6.00 remaining: True
#   paid, 10.00 refunded, 0.00 remaining: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mollie-api-python==4.0.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from mollie.api.objects.payment import Payment


def euros(value):
    return {"currency": "EUR", "value": value}


told = {"resource": "payment", "id": "tr_1", "amount": euros("10.00"), "status": "open"}
print("open, nothing refunded, nothing told to remain:", Payment(told, None).can_be_refunded())
for refunded, remaining in (("0.00", "10.00"), ("4.00", "6.00"), ("10.00", "0.00")):
    paid = {**told, "status": "paid", "amountRefunded": euros(refunded), "amountRemaining": euros(remaining)}
    print(f"paid, {refunded} refunded, {remaining} remaining: {Payment(paid, None).can_be_refunded()}")
PYTHON
diff "$folder/seen" - <<'SEEN'
open, nothing refunded, nothing told to remain: False
paid, 0.00 refunded, 10.00 remaining: True
paid, 4.00 refunded, 6.00 remaining: True
paid, 10.00 refunded, 0.00 remaining: True
SEEN
