"""What ends, when, and what serves it then."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.catalogue.lifecycle import Ending, endings
from rushes.catalogue.load import Catalogue, ProviderEntry
from rushes.catalogue.model import Model
from tests.fixtures.catalogue import shipped_catalogue

TODAY = date(2026, 11, 22)


def model(model_id: str, **given: Any) -> Model:
    plain = {"provider": "acme", "name": model_id, "prompt_chars": 10, "usual_s": 1, "source": "test", "checked": TODAY}
    return Model.model_validate({"id": model_id, **plain, **given})


def catalogue(*models: Model) -> Catalogue:
    return Catalogue([ProviderEntry(provider="acme", name="Acme")], models)


def the_ending(*models: Model, within_days: int = 60) -> Ending:
    (ending,) = endings(catalogue(*models), TODAY, within_days=within_days)
    return ending


@pytest.mark.parametrize(("days", "is_listed"), [(-1000, True), (0, True), (1, True), (60, True), (61, False)])
def test_a_model_is_listed_from_so_many_days_before_its_end_on(days: int, is_listed: bool) -> None:
    ends = model("old", retired=TODAY + timedelta(days=days))
    found = endings(catalogue(ends, model("new")), TODAY, within_days=60)
    assert [(ending.model.id, ending.days_left) for ending in found] == ([("old", days)] if is_listed else [])


def test_a_model_is_retired_on_its_day() -> None:
    assert the_ending(model("old", retired=TODAY)).is_retired
    assert not the_ending(model("old", retired=TODAY + timedelta(days=1))).is_retired


def test_the_next_to_go_come_first_and_the_long_gone_last() -> None:
    days = [-900, 50, -1, 3, -30]
    models = [model(f"in {each}", retired=TODAY + timedelta(days=each)) for each in days]
    assert [ending.days_left for ending in endings(catalogue(*models), TODAY, within_days=60)] == [3, 50, -1, -30, -900]


def test_a_successor_that_is_retired_itself_gives_way_to_its_own() -> None:
    oldest = model("1", retired=TODAY - timedelta(days=9), successors={"any": "2"})
    older = model("2", retired=TODAY - timedelta(days=1), successors={"any": "3"})
    found = endings(catalogue(oldest, older, model("3")), TODAY, within_days=0)
    assert [ending.successors for ending in found] == [{"any": "3"}, {"any": "3"}]


def test_a_successor_that_goes_on_the_same_day_does_not_count() -> None:
    day = TODAY + timedelta(days=5)
    first = model("1", retired=day, successors={"any": "2"})
    second = model("2", retired=day)
    ending, _ = endings(catalogue(first, second), TODAY, within_days=60)
    assert ending.successors == {}


def test_each_api_has_its_own_successor_and_any_is_for_the_rest() -> None:
    ending = the_ending(
        model("old", retired=TODAY, successors={"any": "plain", "cloud": "rich"}), model("plain"), model("rich")
    )
    assert ending.successor_on("cloud") == "rich"
    assert ending.successor_on("studio") == "plain"
    assert ending.successor_on(None) == "plain"


def test_without_a_successor_there_is_none() -> None:
    ending = the_ending(model("old", retired=TODAY))
    assert ending.successors == {}
    assert ending.successor_on("cloud") is None


@given(today=st.dates(date(2026, 1, 1), date(2028, 1, 1)), within_days=st.integers(0, 400))
def test_no_shipped_model_is_served_by_one_that_is_retired_by_then(today: date, within_days: int) -> None:
    shipped = shipped_catalogue()
    for ending in endings(shipped, today, within_days=within_days):
        for heir_id in ending.successors.values():
            heir = shipped.find(ending.model.provider, heir_id)
            assert heir is not None
            assert heir.retired is None or heir.retired > max(today, ending.retired)
