"""
The receiver: deliveries that other systems send of their own accord, verified and stored once.

``sources`` lists the senders and their topics. ``signatures`` proves the sender. ``bounds`` limits the cost of a
sender. ``app`` joins these to the ledger and answers. ``trigger`` makes Prefect process the stored deliveries.
``server`` listens. ``intake.senders`` reads the meaning of a stored delivery. The receiver buys nothing and decides
nothing: where it is down or slow, senders repeat and the scheduled run processes what is stored.
"""
