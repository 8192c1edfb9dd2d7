#!/usr/bin/env bash
# stockholm 0.5.7 knows how many digits the yen and the dinar have, and forgets it where a currency is given by its
# code: from_sub_units makes 10.05 yen out of 1005, as Stripe writes 1,005 yen, and the other way `sub_units` asks for a
# hundred times of them. With the currency's object from stockholm.currency both are right, and the two amounts print
# the same code. Guessed: "JPY" is the currency JPY. It matters where amounts of a payment service are read by their
# code.
# Seen (Python 3.11):
#   1005 units of EUR: by code 10.05 EUR, by object 10.05 EUR; 5 EUR in units: by code 500, by object 500
#   1005 units of JPY: by code 10.05 JPY, by object 1005 JPY; 5 JPY in units: by code 500, by object 5
#   1005 units of KWD: by code 10.05 KWD, by object 1.005 KWD; 5 KWD in units: by code 500, by object 5000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet stockholm==0.5.7
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from stockholm import Money, currency

for code in ("EUR", "JPY", "KWD"):
    known = getattr(currency, code)
    print(
        f"1005 units of {code}: by code {Money.from_sub_units(1005, code)},"
        f" by object {Money.from_sub_units(1005, known)};"
        f" 5 {code} in units: by code {Money(5, code).sub_units:f}, by object {Money(5, known).sub_units:f}"
    )
PYTHON
diff "$folder/seen" - <<'SEEN'
1005 units of EUR: by code 10.05 EUR, by object 10.05 EUR; 5 EUR in units: by code 500, by object 500
1005 units of JPY: by code 10.05 JPY, by object 1005 JPY; 5 JPY in units: by code 500, by object 5
1005 units of KWD: by code 10.05 KWD, by object 1.005 KWD; 5 KWD in units: by code 500, by object 5000
SEEN
