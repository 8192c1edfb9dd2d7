"""
The flows; each file holds one by its own name, a sweep over the ledger that anyone may start, kill and start again.

| flow                  | started by         | does                                        | core                      |
|-----------------------|--------------------|---------------------------------------------|---------------------------|
| `place_impacts`       | schedule, a person | reads new orders, buys what each has earned | `planning`, `placement`   |
| `place_events`        | webhooks, schedule | takes up what webhooks told, buys that      | `deliveries`, `placement` |
| `backfill_orders`     | a person           | the same for a past range, in windows       | `backfill`                |
| `track_placements`    | schedule, a person | asks where everything is that was bought    | `tracking`                |
| `reconcile_providers` | schedule, a person | settles what is in doubt, audits            | `reconcile`, `audit`      |
| `settle_parked`       | a person           | does what a person has decided about one    | `ruling`                  |
| `approve_placements`  | an event, a person | asks about what exceeds the approval limit  | `approval`                |
"""
