"""
From what is planned to what is bought: every run that sends, settles or follows purchases works here.

    run.py                 a run's things: settings, ledger, clients and providers
    loop.py                settle, then send, until nothing is due; flows, proof and tests run this one loop
    sweep.py               claim, call, record: what is due at one provider
    reconcile.py           what became of a purchase whose answer was lost; ``evidence`` weighs a provider's records
    tracking.py            where a purchase is, until it is complete
    rounds.py              how long a run goes on
    approval.py            a person approves, trims or rejects; ``manual_resolution``: a person says what became of one
    backfill.py            a past range of days, in windows
    preview.py             what a run would buy; ``slips`` and ``options``: what is refused beforehand
"""
