"""When to do the next thing. Pure: what happened goes in, seconds come out; chance is a parameter."""

from __future__ import annotations

SLOW_POLL_S = 30.0
YOUNG_S = 300.0
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 60.0


def poll_delay_s(*, interval_s: float, age_s: float, asked_s: float | None, chance: float) -> float:
    """Seconds until the next poll of a generation that has run for `age_s`.

    The provider's own wish (`asked_s`) wins. Else the model's interval, which grows to half a minute once a job is
    older than five minutes. `chance` (0 to 1) spreads it by a fifth either way, so that jobs do not poll in step.
    """
    if asked_s is not None:
        return asked_s
    base_s = interval_s if age_s < YOUNG_S else max(interval_s, SLOW_POLL_S)
    return base_s * (0.8 + 0.4 * chance)


def backoff_s(*, failures: int, asked_s: float | None, chance: float) -> float:
    """Seconds to wait after the `failures`-th failure in a row (1, 2, ...): doubling, at most a minute, with jitter.

    Never shorter than what the other side asked for.
    """
    longest_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 16))
    own_s = longest_s * (0.5 + 0.5 * chance)
    return own_s if asked_s is None else max(own_s, asked_s)
