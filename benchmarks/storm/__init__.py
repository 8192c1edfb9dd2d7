"""
A webhook storm: ``python -m benchmarks.storm``.

``senders`` makes deliveries, ``plan`` mixes honest and other ones, ``firing`` sends them and notes the answers,
``prefect`` has the server that is nudged, with a worker that stands in for ``place_events``, ``storm`` puts a real
receiver between them and says what came of it.
"""
