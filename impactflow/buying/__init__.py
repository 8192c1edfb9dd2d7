"""
Buying: every run that sends planned placements, resolves doubts or tracks purchases works here.

    run.py                 a run's things: settings, ledger, clients and providers
    loop.py                resolve doubts, then send, until nothing is due; flows, proof and tests run this one loop
    sweep.py               claim, call and record the placements that are due at one provider
    reconcile.py           find out about purchases whose answers were lost; ``evidence`` weighs a provider's records
    tracking.py            follow a purchase until it is complete
    cancelling.py          cancel what refunded orders have bought
    rounds.py              how long a run goes on
    approval.py            a person approves, trims or rejects; ``rulings``: a person decides on one placement
    backfill.py            a past range of days, in windows
    preview.py             the purchases a run would make; ``slips``, ``hosts`` and ``options``: refused beforehand
"""
