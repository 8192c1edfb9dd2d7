"""What ``impactflow doctor`` says of schedules that somebody has changed."""

import pytest

from impactflow.cli.prefect_check import remark_on_schedule


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"cron": "5 * * * *", "timezone": "UTC"}, ""),
        ({"cron": "30 2 * * *", "timezone": None}, ""),
        ({"cron": "30 2 * * *", "timezone": "Asia/Tokyo"}, ""),
        ({"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, "an hour early"),
        ({"cron": "* 5 * * * *", "timezone": "UTC"}, "every second of a minute"),
        ({"interval": 86400.0, "timezone": "America/New_York"}, "two runs"),
        ({"interval": 3600.0, "timezone": "America/New_York"}, ""),
        ({"rrule": "FREQ=DAILY", "timezone": "Europe/Berlin"}, ""),
    ],
)
def test_f10_what_is_odd_about_a_schedule_is_said(schedule, message):
    """Summer time, and a sixth field; UTC has neither nights that are short nor long ones."""
    remark = remark_on_schedule(schedule)
    assert message in remark
    assert bool(message) is bool(remark)
