#!/usr/bin/env bash
# python-liquid 2.3.6, which renders the templates that shops write in Shopify's language, takes a Python Decimal for 0 in
# each filter that reckons: 10.50 shows as 10.50 and is greater than 10, but three times it is 0, 100 less it is 100, and
# the sum of a list of gifts is 0. A float and a text are reckoned with. No error is told, but for dividing by it, which
# is dividing by 0. Besides, 2.5 rounds to 2, and a text 20250131 is a day in 1970, for its digits count as seconds.
# Guessed: a Decimal is reckoned with and keeps its cents, for it is how Python holds money; 3, as in Ruby; and the 31st
# of January 2025. It matters where a receipt or a mail is rendered from amounts out of a database.
# Seen (Python 3.11):
#   {{ gift }}: 10.50 as a Decimal, 10.5 as a float, 10.50 as a text
#   {{ gift | times: 3 }}: 0 as a Decimal, 31.5 as a float, 31.5 as a text
#   {{ 100 | minus: gift }}: 100 as a Decimal, 89.5 as a float, 89.5 as a text
#   {{ gifts | sum }}: 0 as a Decimal, 21.0 as a float, 21.0 as a text
#   {% if gift > 10 %}more{% endif %} than 10: Decimal more, float more
#   {{ 2.5 | round }}: 2
#   {{ '20250131' | date: '%Y-%m-%d' }}: 1970-08-23
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet python-liquid==2.3.6
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from decimal import Decimal

import liquid

ENVIRONMENT = liquid.Environment()


def rendered(template, gift=None):
    return ENVIRONMENT.from_string(template).render(gift=gift, gifts=[gift, gift])


amounts = {"a Decimal": Decimal("10.50"), "a float": 10.5, "a text": "10.50"}
for template in ("{{ gift }}", "{{ gift | times: 3 }}", "{{ 100 | minus: gift }}", "{{ gifts | sum }}"):
    print(f"{template}: " + ", ".join(f"{rendered(template, gift)} as {name}" for name, gift in amounts.items()))
template = "{% if gift > 10 %}more{% endif %}"
print(f"{template} than 10: Decimal {rendered(template, Decimal('10.50'))}, float {rendered(template, 10.5)}")
for template in ("{{ 2.5 | round }}", "{{ '20250131' | date: '%Y-%m-%d' }}"):
    print(f"{template}: {rendered(template)}")
PYTHON
diff "$folder/seen" - <<'SEEN'
{{ gift }}: 10.50 as a Decimal, 10.5 as a float, 10.50 as a text
{{ gift | times: 3 }}: 0 as a Decimal, 31.5 as a float, 31.5 as a text
{{ 100 | minus: gift }}: 100 as a Decimal, 89.5 as a float, 89.5 as a text
{{ gifts | sum }}: 0 as a Decimal, 21.0 as a float, 21.0 as a text
{% if gift > 10 %}more{% endif %} than 10: Decimal more, float more
{{ 2.5 | round }}: 2
{{ '20250131' | date: '%Y-%m-%d' }}: 1970-08-23
SEEN
