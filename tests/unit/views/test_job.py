"""What a job says of itself beside its facts."""

from __future__ import annotations

from rushes.views.job import LONGEST_POLL_MS, SHORTEST_POLL_MS, poll_after_ms
from tests.unit.api.native.test_schemas import job


def test_who_waits_is_asked_to_come_back_in_proportion_and_within_bounds() -> None:
    waits = [poll_after_ms(job(usual_s=usual_s)) for usual_s in (0, 1.5, 20, 60, 3600)]
    assert waits == [SHORTEST_POLL_MS, SHORTEST_POLL_MS, 1000, 3000, LONGEST_POLL_MS]
