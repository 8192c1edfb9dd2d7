"""
The meaning of a stored delivery, by sender: an order that was sold, a refund, a hint to look at a placement.

``events`` reads any delivery; ``shopify``, ``woocommerce``, ``stripe`` and ``standard`` each know one sender's format,
``mapped`` that of a sender that a file describes (``mapping``). The receiver has proven that a delivery is genuine
before it stored the delivery.
"""
