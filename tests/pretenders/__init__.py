"""Sellers and a shop, each written from its reference alone, by somebody who has not read what buys there."""
