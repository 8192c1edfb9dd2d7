#!/usr/bin/env bash
# Babel 2.19.0 shows a forint and an Iraqi dinar without any decimals: 1,234.567 IQD becomes "IQD1,235", though ISO 4217
# gives the dinar three digits and the forint two, as py-moneyed 3.0 has it. Babel follows CLDR, which counts the digits
# that people use in cash. Guessed: both libraries say 3 and 2.
# Seen (Python 3.11):
#   IQD: babel 0, moneyed 3, shown as IQD1,235
#   HUF: babel 0, moneyed 2, shown as HUF1,235
#   KWD: babel 3, moneyed 3, shown as KWD1,234.567
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet babel==2.19.0 py-moneyed==3.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import math
from decimal import Decimal

import moneyed
from babel.numbers import format_currency, get_currency_precision

for code in ("IQD", "HUF", "KWD"):
    digits = round(math.log10(moneyed.get_currency(code).sub_unit))
    shown = format_currency(Decimal("1234.567"), code, locale="en_US")
    print(f"{code}: babel {get_currency_precision(code)}, moneyed {digits}, shown as {shown}")
PYTHON
diff "$folder/seen" - <<'SEEN'
IQD: babel 0, moneyed 3, shown as IQD1,235
HUF: babel 0, moneyed 2, shown as HUF1,235
KWD: babel 3, moneyed 3, shown as KWD1,234.567
SEEN
