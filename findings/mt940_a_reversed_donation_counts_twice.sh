#!/usr/bin/env bash
# mt-940 5.1.1 gives the reversal of a credit, RC in a bank's statement, the sign of a credit: a donation of 10 EUR
# that the bank took back adds up to 20 and not to 0, while the balances say 0. Options(reversal_sign=True) mends that,
# and is not the default. Guessed: what leaves the account is negative.
# Seen (Python 3.11):
#   as it comes: 10.00 and 10.00, while the balance changes by 0.00
#   with reversal_sign: 10.00 and -10.00, while the balance changes by 0.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mt-940==5.1.1
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import mt940

statement = """:20:DONATIONS
:25:NL08DEUT0319809633
:28C:1/1
:60F:C250303EUR1000,00
:61:2503030303C10,00NMSCNONREF
:86:a donation
:61:2503040304RC10,00NMSCNONREF
:86:the donation, taken back
:62F:C250304EUR1000,00
-"""
for name, further in (("as it comes", {}), ("with reversal_sign", {"options": mt940.Options(reversal_sign=True)})):
    read = mt940.parse(statement, **further)
    opening, closing = (read.data[f"final_{which}_balance"].amount.amount for which in ("opening", "closing"))
    amounts = [movement.data["amount"].amount for movement in read]
    print(f"{name}: {amounts[0]} and {amounts[1]}, while the balance changes by {closing - opening}")
PYTHON
diff "$folder/seen" - <<'SEEN'
as it comes: 10.00 and 10.00, while the balance changes by 0.00
with reversal_sign: 10.00 and -10.00, while the balance changes by 0.00
SEEN
