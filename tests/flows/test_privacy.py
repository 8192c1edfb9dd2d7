"""Nobody who may look into Prefect sees a key or a customer there, whatever happened."""


def test_the_servers_database_holds_no_key_and_no_address(ran, dump):
    """Parameters, results, logs, artifacts, events, run names: all that the server keeps."""
    kept = dump()
    assert "placements planned" in kept  # the logs of these runs have come
    assert [secret for secret in ran.secrets if secret in kept] == []


def test_what_a_run_prints_holds_no_key_and_no_address(ran, server):
    """Nor does the server's own output, even where a key was refused and at the most talkative log level."""
    printed = ran.ended.out + ran.ended.err + ran.refused.out + ran.refused.err + server.log.read_text()
    assert [secret for secret in ran.secrets if secret in printed] == []


def test_reports_hold_no_key_and_no_address(ran):
    """They are passed on to others."""
    written = "".join(path.read_text() for path in (ran.folder / "reports").glob("*.csv"))
    assert written
    assert [secret for secret in ran.secrets if secret in written] == []
