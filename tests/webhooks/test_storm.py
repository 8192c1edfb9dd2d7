"""A real receiver over real HTTP, nudging a real Prefect server."""

from benchmarks.storm.storm import Storm, let_loose


async def test_a_storm_is_answered_rightly_and_every_event_is_handled_once(server, tmp_path):
    """Duplicates, replays, forgeries, old, cut and oversized ones; the receiver's memory stays."""
    aftermath = await let_loose(Storm(deliveries=300, slow=0, at_once=50, seed=7), server.api_url, tmp_path)
    start_mb, _, end_mb = aftermath.memory_mb

    assert aftermath.answers.wrong == []
    assert (aftermath.lost, aftermath.doubled, aftermath.strange) == (0, 0, 0)
    assert 1 <= aftermath.runs <= 1 + aftermath.took_s / 5
    assert end_mb < start_mb + 30
