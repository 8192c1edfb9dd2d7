"""A real receiver over real HTTP, triggering a real Prefect server, whose worker runs the real flows."""

import pytest

from benchmarks.storm.storm import Storm, let_loose


@pytest.mark.timeout(900)  # a busy machine takes minutes for the flows that handle a thousand deliveries
async def test_a_storm_is_answered_rightly_and_everything_it_tells_of_is_bought_once(server, tmp_path):
    """
    Duplicates, replays, forgeries, old, cut and oversized ones, refunds, sales that are listed too; memory stays.

    Sales that are edited, cancelled, refunded, or refunded in vain earn what they come to in the end, in whatever order
    that is told.
    """
    aftermath = await let_loose(Storm(deliveries=300, slow=0, at_once=50, seed=7), server.api_url, tmp_path)
    start_mb, _, end_mb = aftermath.memory_mb

    assert aftermath.answers.wrong == []
    assert (aftermath.lost, aftermath.unread, aftermath.strange) == (0, 0, 0)
    assert aftermath.earned > 300
    assert aftermath.wrong == {"lost": 0, "twice": 0, "unasked": 0, "wrong": 0, "unrecorded": 0}
    assert aftermath.single_s  # how long each took is the benchmark's business
    assert end_mb < start_mb + 30
