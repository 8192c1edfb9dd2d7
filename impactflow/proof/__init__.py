"""
The proof of the one promise: nothing bought twice, nothing lost, and anyone can check it.

    scenario ──▶ simulation ──▶ many ──▶ prove        what one seed stands for, one run of it, many of them
                  ▲   ▲                               simulated: ``time``, the ledger's disk (``memory``), ``process``
        crashpoints   mutations                       a crash at every boundary; bugs that must be noticed
    programs ──▶ experiment ──▶ processes ──▶ prove   real processes, killed; real databases, stopped

``impactflow prove`` runs all of it. ``docs/promise.md`` says what is promised under which assumptions.
"""
