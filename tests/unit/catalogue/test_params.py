"""What may stand in `additional_params`."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.catalogue.load import load
from rushes.catalogue.params import PORTABLE, lift_portable, refuse_null, refuse_reserved
from rushes.domain.request import Json
from rushes.errors import UnsupportedOption

google = load().find_provider("google")
assert google is not None
RESERVED = google.reserved_params

scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "16:9", "a"])
objects = st.dictionaries(
    st.sampled_from(sorted(PORTABLE)) | st.sampled_from(["guidance", "Seed"]), scalars, max_size=6
)


def test_a_portable_name_becomes_that_field() -> None:
    assert lift_portable({"prompt": "a"}, {"seed": 0, "guidance": 7}) == ({"prompt": "a", "seed": 0}, {"guidance": 7})


def test_the_same_value_twice_is_fine() -> None:
    assert lift_portable({"seed": 0}, {"seed": 0}) == ({"seed": 0}, {})


@pytest.mark.parametrize(
    "params",
    [
        {"api_key": "k"},
        {"apiKey": "k"},
        {"X-API-Key": ["k"]},
        {"config": [{"headers": {"Authorization": "Bearer k"}}]},
        {"nested": {"byok_api_key": "k"}},
    ],
)
def test_a_credential_is_refused_without_being_repeated(params: dict[str, Json]) -> None:
    with pytest.raises(UnsupportedOption, match="byok_api_key") as caught:
        lift_portable({}, params)
    assert caught.value.field == "additional_params"
    assert "'k'" not in caught.value.message


def test_words_that_are_no_credentials_stay() -> None:
    params: dict[str, Json] = {"token_count": 7, "key": "C minor", "api_key": None, "keys": {"a": [1]}}
    assert lift_portable({}, params) == ({}, params)


@pytest.mark.parametrize(("top", "inside"), [(0, 1), (1, 0), (1, True), (False, 0), ("1", 1), (["a"], ["b"])])
def test_two_different_values_are_refused_by_name(top: Json, inside: Json) -> None:
    with pytest.raises(UnsupportedOption, match="seed is given twice") as caught:
        lift_portable({"seed": top}, {"seed": inside})
    assert caught.value.field == "seed"


def test_null_is_not_a_value() -> None:
    assert lift_portable({"seed": None}, {"seed": 0, "n": None}) == ({"seed": 0}, {})
    assert lift_portable({"seed": 0}, {"seed": None}) == ({"seed": 0}, {})


def test_a_key_is_lifted_and_never_shown() -> None:
    assert lift_portable({}, {"byok_api_key": "secret-a"}) == ({"byok_api_key": "secret-a"}, {})
    with pytest.raises(UnsupportedOption) as caught:
        lift_portable({"byok_api_key": "secret-a"}, {"byok_api_key": "secret-b"})
    assert "secret" not in caught.value.message


@given(objects, objects)
def test_a_conflict_is_raised_exactly_where_both_are_given_and_differ(
    fields: dict[str, Json], params: dict[str, Json]
) -> None:
    before = copy.deepcopy((fields, params))
    differing = {
        name
        for name in PORTABLE & fields.keys() & params.keys()
        if fields[name] is not None and params[name] is not None and repr(fields[name]) != repr(params[name])
    }
    try:
        lifted, rest = lift_portable(fields, params)
    except UnsupportedOption as error:
        assert error.field in differing  # noqa: PT017 (either outcome is right, for its own inputs)
    else:
        assert not differing
        assert rest == {name: value for name, value in params.items() if name not in PORTABLE}
        assert lift_portable(lifted, rest) == (lifted, rest)
        for name in PORTABLE:
            given_value = fields.get(name) if fields.get(name) is not None else params.get(name)
            assert lifted.get(name) == given_value
    assert (fields, params) == before


@pytest.mark.parametrize(
    "params",
    [
        {"storageUri": "gs://theirs"},
        {"storage_uri": "gs://theirs"},
        {"SAMPLECOUNT": 4},
        {"service_tier": "priority"},
        {"serviceTier": None},
        {"previous_interaction_id": "v1_someone"},
        {"generation_config": {"videoConfig": {"task": "upscale"}}},
    ],
)
def test_a_reserved_name_is_refused_in_any_spelling(params: dict[str, Json]) -> None:
    with pytest.raises(UnsupportedOption, match="byok_api_key"):
        refuse_reserved(params, RESERVED, provider="google")


@pytest.mark.parametrize(
    "params", [{}, {"generation_config": {"seed": 1}}, {"generation_config": 3}, {"resizeMode": "crop"}]
)
def test_other_names_pass(params: dict[str, Json]) -> None:
    refuse_reserved(params, RESERVED, provider="google")


def test_null_is_refused_where_a_form_cannot_say_it() -> None:
    with pytest.raises(UnsupportedOption, match="'x' is null") as refusal:
        refuse_null({"a": 0, "x": None}, provider="my-gpu")
    assert refusal.value.field == "additional_params"
    refuse_null({"a": 0, "b": {"c": None}, "d": [None]}, provider="my-gpu")
