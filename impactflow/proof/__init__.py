"""
The proof of the one promise: nothing bought twice, nothing lost, and anyone can check it.

    scenario ──▶ simulation ──▶ many ──▶ prove        the world of one seed, one run of it, many runs
                  ▲   ▲                               simulated: ``virtual_time``, the disk (``memory``), ``process``
        crashpoints   mutations                       a crash at every boundary; planted bugs that must be noticed
    programs ──▶ experiment ──▶ processes ──▶ prove   real processes, killed; real databases, stopped

``impactflow prove`` runs all of it. ``docs/promise.md`` states the promise and its assumptions.
"""
