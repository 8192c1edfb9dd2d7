"""
Reports for a person or a program: how placements stand, the result of a run, and files that finance can match.

``standing`` puts statuses into words, ``summary`` gives the result of a run and its exit status, ``files`` writes the
purchases. Nothing here changes anything.
"""
