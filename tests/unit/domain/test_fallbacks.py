from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rushes.domain.fallbacks import FAILURES_TO_GIVE_WAY, NO_FALLBACKS, Fallbacks, gives_way, pinned_options
from rushes.domain.request import VideoRequest
from rushes.errors import (
    ContentFiltered,
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    RushesError,
    StorageUnavailable,
    UnexpectedResponse,
)
from tests.fixtures.new_jobs import fallback


@pytest.mark.parametrize("cost_usd", [None, Decimal("0.10"), Decimal(0)])
def test_fallbacks_survive_json(cost_usd: Decimal | None) -> None:
    request = VideoRequest("A dog", aspect_ratio="16:9", resolution=None, duration_s=4, generate_audio=False)
    one = fallback(cost_usd=cost_usd, options=pinned_options(request), warnings=("W",), api="vertex")
    kept = Fallbacks((one, fallback(name="b/c")), used=1)
    assert Fallbacks.from_json(kept.to_json()) == kept


def test_a_job_without_fallbacks_keeps_nothing() -> None:
    assert NO_FALLBACKS.to_json() is None
    assert Fallbacks.from_json(None) is NO_FALLBACKS


def test_each_fallback_has_its_turn_once() -> None:
    first, second = fallback(name="a/1"), fallback(name="b/2")
    fallbacks = Fallbacks((first, second))
    assert fallbacks.next is first
    assert fallbacks.after_next().next is second
    assert fallbacks.after_next().after_next().next is None


def test_a_fallback_gets_its_own_options_and_the_same_prompt() -> None:
    request = VideoRequest("A dog", n=2, seed=0, resolution="4k", duration_s=8)
    own = replace(request, resolution="720p", duration_s=5)
    assert fallback(options=pinned_options(own)).request(request) == own


@pytest.mark.parametrize(
    ("error", "failures", "gives"),
    [
        (ProviderAuth("401"), 1, True),
        (ProviderCreditEmpty("402"), 1, True),
        (ProviderQuota("429"), FAILURES_TO_GIVE_WAY - 1, False),
        (ProviderQuota("429"), FAILURES_TO_GIVE_WAY, True),
        (ProviderQuota("429", retry_after_s=3600), 1, True),
        (ProviderQuota("429", retry_after_s=2), 1, False),
        (ProviderUnavailable("refused", accepted=False), FAILURES_TO_GIVE_WAY - 1, False),
        (ProviderUnavailable("refused", accepted=False), FAILURES_TO_GIVE_WAY, True),
        (ProviderRejected("400"), 99, False),
        (ContentFiltered("No"), 99, False),
        (UnexpectedResponse("<html>"), 99, False),
        (StorageUnavailable("Our disk"), 99, False),
    ],
)
def test_a_model_gives_way_when_it_will_not_accept_soon(error: RushesError, failures: int, gives: bool) -> None:
    assert gives_way(error, failures, byok=False) is gives


@pytest.mark.parametrize("error", [ProviderAuth("401"), ProviderCreditEmpty("402")])
def test_a_callers_own_bad_key_is_told_to_the_caller(error: RushesError) -> None:
    assert not gives_way(error, 1, byok=True)
