"""
The flows; each file holds one by its own name, a sweep over the ledger that anyone may start, kill and start again.

| flow                  | started by         | does                                    | core                       |
|-----------------------|--------------------|-----------------------------------------|----------------------------|
| `place_impacts`       | schedule, a person | reads orders, buys what each has earned | `buying.loop`              |
| `place_events`        | webhooks, schedule | reads deliveries, buys what they earned | `intake.deliveries`        |
| `backfill_orders`     | a person           | the same for a past range, in windows   | `buying.backfill`          |
| `track_placements`    | schedule, a person | checks the status of every purchase     | `buying.tracking`          |
| `cancel_refunds`      | schedule, a person | undoes what refunded orders bought      | `buying.cancelling`        |
| `reconcile_providers` | schedule, a person | resolves doubts, audits                 | `buying.reconcile`         |
| `settle_parked`       | a person           | records a person's decision             | `buying.rulings`           |
| `approve_placements`  | an event, a person | asks about placements above a limit     | `buying.approval`          |
"""
