"""
What a stored delivery means, by who sent it: an order that was sold, a refund, a hint to look at a placement.

``events`` reads any delivery; ``shopify``, ``woocommerce``, ``stripe`` and ``standard`` each know one sender's words,
``mapped`` those of a sender that a file describes (``mapping``). Whether a delivery is genuine the receiver has proven
before it stored it.
"""
