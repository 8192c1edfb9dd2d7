"""
A webhook storm: ``python -m benchmarks.storm``, in the project's folder.

``senders`` makes deliveries, ``plan`` mixes honest and other ones, ``changes`` makes deliveries about sales that
change, ``firing`` sends all of it and notes the answers, ``prefect`` has the server that is triggered, ``storm`` puts a
real receiver, a worker and the sandbox between them and reports the results.
"""
