"""Which models patterns mean, and when one list of them permits no more than another."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.accounts.model_access import ModelAccess, covers, matches, trouble_of, without_model
from rushes.catalogue.load import load
from rushes.errors import ModelNotAllowed

CATALOGUE = load()


def names(*patterns: str) -> set[str]:
    access = ModelAccess(of_account=patterns)
    return {f"{model.provider}/{model.id}" for model in CATALOGUE.models() if access.allows(model)}


def every(condition: str) -> set[str]:
    provider, _, start = condition.partition("/")
    return {
        f"{model.provider}/{model.id}"
        for model in CATALOGUE.models()
        if model.provider == provider and model.id.startswith(start)
    }


def test_a_pattern_with_a_slash_means_one_providers_models() -> None:
    assert names("google/*") == every("google/")
    assert names("google/veo-3.1-*") == every("google/veo-3.1-") != set()


def test_a_pattern_without_a_slash_means_an_id_at_every_provider() -> None:
    found = names("seedance-*")
    assert found
    assert found == {f"{one.provider}/{one.id}" for one in CATALOGUE.models() if one.id.startswith("seedance-")}
    assert names("*") == {f"{one.provider}/{one.id}" for one in CATALOGUE.models()}


def test_a_hubs_model_is_not_meant_by_the_name_of_its_maker() -> None:
    hubs = [one for one in CATALOGUE.models() if one.id.startswith("google/")]
    assert not any(matches("google/*", one) for one in hubs)


def test_a_dot_and_a_case_mean_themselves() -> None:
    assert names("google/veo-3x1-*") == set()
    assert names("GOOGLE/*") == set()


def test_of_an_account_and_its_key_both_must_allow_a_model() -> None:
    google = next(iter(CATALOGUE.models("google")))
    assert ModelAccess(("google/*",), ("*",)).allows(google)
    with pytest.raises(ModelNotAllowed, match=r"fallback_models\.0: This API key may not use the model 'google/"):
        ModelAccess(("google/*",), ("seedance-*",)).check(google, field="fallback_models.0")
    with pytest.raises(ModelNotAllowed, match="This account may not use"):
        ModelAccess(("seedance-*",), None).check(google)


def test_what_is_no_pattern_is_named() -> None:
    for wrong in ("", "a b", "x" * 201, "veo\n", "véo", "[a]"):
        assert trouble_of(wrong) is not None, wrong
    assert trouble_of("fal-ai/*:free") is None
    assert without_model(["google/*", "nobody/*"], CATALOGUE.models()) == ["nobody/*"]


WORD = st.text(alphabet="ab*/", min_size=1, max_size=5)


@given(own=st.lists(WORD, min_size=1, max_size=3), other=st.lists(WORD, min_size=1, max_size=3))
def test_what_is_covered_permits_nothing_more(own: list[str], other: list[str]) -> None:
    if not covers(tuple(own), tuple(other)):
        return
    model = CATALOGUE.models()[0]
    texts = ["".join(letters) for size in (1, 2, 3) for letters in itertools.product("ab/", repeat=size)]
    for provider in ("a", "b", "ab"):
        for model_id in texts:
            one = model.model_copy(update={"provider": provider, "id": model_id})
            if any(matches(pattern, one) for pattern in other):
                assert any(matches(pattern, one) for pattern in own)


def test_a_list_is_covered_by_all_and_by_wider_ones() -> None:
    assert covers(None, None)
    assert covers(None, ("google/*",))
    assert not covers(("google/*",), None)
    assert covers(("google/*",), ("google/veo-*", "google/*"))
    assert covers(("veo-*",), ("google/veo-3*",))
    assert not covers(("veo-*",), ("*/veo-3*",))
    assert not covers(("google/veo-*",), ("veo-3",))
