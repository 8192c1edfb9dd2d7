"""
The receiver: what other systems tell us of their own accord, verified and stored once.

``sources`` lists who may tell what, ``signatures`` proves that it was them, ``bounds`` limits what a sender may cost,
``app`` joins these to the ledger and answers, ``trigger`` has Prefect handle what was stored, ``server`` listens. What
a stored delivery means is the business of ``intake.senders``. The receiver buys nothing and decides nothing: where it
is down or slow, senders repeat and the schedule drains.
"""
