"""
What a person or a program reads: how placements stand, what came of a run, and files that finance can match.

``standing`` puts statuses into words, ``summary`` says what a run came to and which exit status follows, ``files``
writes what was bought. Nothing here changes anything.
"""
