#!/usr/bin/env bash
# pycamt 1.1.1 gives a gift of 100 USD, which a bank booked as 92 EUR, as 100 EUR: of the details it takes the first
# amount at any depth, and in camt.053.001.02 that is the one the giver instructed, while the currency stays that of the
# booking. So what it reads adds up to more than the balances say. In camt.053.001.08 the same payment is 92 EUR, for
# there the details begin with an amount of their own. Guessed: the amount of the booking, or 100 with USD beside it.
# Seen (Python 3.11):
#   02: a gift of 100.00 EUR, while the balance changes by 92.00
#   08: a gift of 92.00 EUR, while the balance changes by 92.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycamt==1.1.1
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from decimal import Decimal

from pycamt.parser import Camt053Parser

STATEMENT = """<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt>
<GrpHdr><MsgId>M</MsgId><CreDtTm>2025-03-04T08:00:00</CreDtTm></GrpHdr>
<Stmt><Id>S</Id><CreDtTm>2025-03-04T08:00:00</CreDtTm><Acct><Id><IBAN>DE89370400440532013000</IBAN></Id></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1000.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2025-03-03</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1092.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2025-03-03</Dt></Dt></Bal>
<Ntry><Amt Ccy="EUR">92.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>{status}</Sts>
<BookgDt><Dt>2025-03-03</Dt></BookgDt><ValDt><Dt>2025-03-03</Dt></ValDt><BkTxCd><Prtry><Cd>GIFT</Cd></Prtry></BkTxCd>
<NtryDtls><TxDtls><Refs><EndToEndId>E</EndToEndId></Refs>{own}<AmtDtls>
<InstdAmt><Amt Ccy="USD">100.00</Amt></InstdAmt><TxAmt><Amt Ccy="EUR">92.00</Amt></TxAmt>
</AmtDtls></TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"""
for version, status, own in (
    ("02", "BOOK", ""),
    ("08", "<Cd>BOOK</Cd>", '<Amt Ccy="EUR">92.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>'),
):
    read = Camt053Parser(STATEMENT.format(version=version, status=status, own=own))
    (gift,), (account,) = read.get_transactions(), read.get_statement_info()
    change = Decimal(account["ClosingBalance"]) - Decimal(account["OpeningBalance"])
    print(f"{version}: a gift of {gift['Amount']} {gift['Currency']}, while the balance changes by {change}")
PYTHON
diff "$folder/seen" - <<'SEEN'
02: a gift of 100.00 EUR, while the balance changes by 92.00
08: a gift of 92.00 EUR, while the balance changes by 92.00
SEEN
