"""What a provider's list and the catalogue lack of each other."""

from __future__ import annotations

from datetime import date

from rushes.app.live_models import compared
from rushes.catalogue.load import load

TODAY = date(2026, 11, 30)
GOOGLE = load().models("google")


def test_a_model_that_the_list_lacks_and_one_that_it_adds_are_named() -> None:
    found = compared(GOOGLE, "google", "gemini", ("gemini-omni-1.2-flash", "gemini-omni-1.3-flash"), TODAY)
    assert (found.missing, found.unknown) == (("gemini-omni-1.1-flash",), ("gemini-omni-1.3-flash",))


def test_a_list_with_every_model_that_lives_agrees() -> None:
    found = compared(GOOGLE, "google", "gemini", ("gemini-omni-1.2-flash", "gemini-omni-1.1-flash"), TODAY)
    assert (found.missing, found.unknown) == ((), ())


def test_models_of_another_api_and_retired_ones_are_not_missed() -> None:
    every = [model for model in GOOGLE if "vertex" in model.apis]
    ids = tuple(model.upstream_id("vertex") for model in every)
    assert compared(GOOGLE, "google", "vertex", ids, TODAY).missing == ()
