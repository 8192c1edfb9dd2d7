#!/usr/bin/env bash
# dateparser 1.5.0, told no languages, takes "5 EUR" for five hours ago: eur is the hour in Breton, and capitals do
# not count. Swedish crowns are German seconds, "5 MAD" is the fifth month in Mundang, and "10,50 EUR" lies fifty hours
# back and not ten and a half. Dollars and pounds are no date. With languages=["en"] none is one.
# Guessed: an amount with the code of a currency is no date, None. It matters where an import tells a column of days
# from one of amounts by what can be read as a date.
# Seen (Python 3.11), at noon of 2026-01-01:
#   5 EUR: 2026-01-01 07:00:00 (br), in English None
#   20 EUR: 2025-12-31 16:00:00 (br), in English None
#   10,50 EUR: 2025-12-30 10:00:00 (br), in English None
#   5 SEK: 2026-01-01 11:59:55 (de), in English None
#   5 MAD: 2026-05-05 00:00:00 (mua), in English None
#   5 USD: None (None), in English None
#   5 GBP: None (None), in English None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dateparser==1.5.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from datetime import datetime

import dateparser
from dateparser.date import DateDataParser

settings = {"RELATIVE_BASE": datetime(2026, 1, 1, 12)}
for text in ("5 EUR", "20 EUR", "10,50 EUR", "5 SEK", "5 MAD", "5 USD", "5 GBP"):
    read = dateparser.parse(text, settings=settings)
    language = DateDataParser(settings=settings).get_date_data(text).locale
    english = dateparser.parse(text, settings=settings, languages=["en"])
    print(f"{text}: {read} ({language}), in English {english}")
PYTHON
diff "$folder/seen" - <<'SEEN'
5 EUR: 2026-01-01 07:00:00 (br), in English None
20 EUR: 2025-12-31 16:00:00 (br), in English None
10,50 EUR: 2025-12-30 10:00:00 (br), in English None
5 SEK: 2026-01-01 11:59:55 (de), in English None
5 MAD: 2026-05-05 00:00:00 (mua), in English None
5 USD: None (None), in English None
5 GBP: None (None), in English None
SEEN
