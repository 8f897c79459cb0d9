"""A request for a retired model, as its successor runs it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.catalogue.check import complete
from rushes.catalogue.load import load
from rushes.catalogue.model import Model
from rushes.catalogue.succession import complete_for, with_defaults_of
from rushes.domain.request import VideoRequest
from rushes.errors import UnsupportedOption

CATALOGUE = load()


def google(model_id: str) -> Model:
    model = CATALOGUE.find("google", model_id)
    assert model is not None
    return model


VEO_2 = google("veo-2.0-generate-001")
VEO_3 = google("veo-3.0-generate-001")
VEO_31 = google("veo-3.1-generate-001")
OMNI = google("gemini-omni-1.2-flash")

PAIRS = [
    (model, google(heir))
    for model in CATALOGUE.models("google")
    for heir in dict.fromkeys(model.successors.values())
    if model.retired is not None
]
"""Every retired model with each of its successors."""
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "aspect_ratio": st.sampled_from(["16:9", "9:16", "1:1"]),
        "resolution": st.sampled_from(["360p", "720p", "1080p", "4k"]),
        "duration_s": st.integers(3, 11),
        "generate_audio": st.booleans(),
        "seed": st.just(0),
        "negative_prompt": st.just("rain"),
        "person_generation": st.just("allow_adult"),
        "n": st.integers(1, 5),
    },
)


def test_omitted_options_keep_the_defaults_of_the_model_asked_for() -> None:
    completed, warnings = complete_for(VEO_3, OMNI, VideoRequest("a kite"), test=False)
    assert (completed.duration_s, completed.generate_audio) == (8, True)
    assert warnings == ()


def test_a_silent_default_stays_silent_where_the_successor_can() -> None:
    completed, warnings = complete_for(VEO_2, VEO_31, VideoRequest("a kite"), test=False)
    assert completed.generate_audio is False
    assert warnings == ()


def test_a_default_that_the_successor_does_not_offer_gives_way_with_a_warning() -> None:
    completed, warnings = complete_for(VEO_2, OMNI, VideoRequest("a kite"), test=False)
    assert completed.generate_audio is True
    (warning,) = warnings
    assert warning == (
        "generate_audio false, the default of 'veo-2.0-generate-001', is not offered by 'gemini-omni-1.2-flash', "
        "whose own default takes over"
    )


def test_what_the_caller_gave_is_refused_rather_than_changed() -> None:
    with pytest.raises(UnsupportedOption, match=r"serves 'veo-2\.0-generate-001', which is retired") as caught:
        complete_for(VEO_2, OMNI, VideoRequest("a kite", generate_audio=False), test=False)
    assert caught.value.field == "generate_audio"
    with pytest.raises(UnsupportedOption, match="duration 5"):
        complete_for(VEO_2, VEO_31, VideoRequest("a kite", duration_s=5), test=False)


def test_an_option_that_only_the_successor_has_is_refused() -> None:
    with pytest.raises(UnsupportedOption, match=r"'veo-3\.0-generate-001'; it offers 4, 6, 8"):
        complete_for(VEO_3, OMNI, VideoRequest("a kite", duration_s=15), test=False)


def test_a_model_that_serves_itself_is_simply_completed() -> None:
    completed, warnings = complete_for(OMNI, OMNI, VideoRequest("a kite"), test=False)
    assert (completed.duration_s, warnings) == (10, ())


@given(pair=st.sampled_from(PAIRS), options=OPTIONS)
def test_what_the_caller_gave_reaches_the_successor_or_is_refused(
    pair: tuple[Model, Model], options: dict[str, Any]
) -> None:
    asked, heir = pair
    try:
        completed, warnings = complete_for(asked, heir, VideoRequest("a kite", **options), test=False)
    except UnsupportedOption:
        return
    assert {name: getattr(completed, name) for name in options} == options
    assert complete(heir, completed, test=False) == completed
    pinned = complete(asked, VideoRequest("a kite", **options), test=False)
    changed = [one.name for one in fields(pinned) if getattr(pinned, one.name) != getattr(completed, one.name)]
    assert len(warnings) == len(changed)


@given(pair=st.sampled_from(PAIRS), options=OPTIONS)
def test_a_refusal_for_the_successors_sake_names_both_models(
    pair: tuple[Model, Model], options: dict[str, Any]
) -> None:
    asked, heir = pair
    request = VideoRequest("a kite", **options)
    try:
        complete(asked, request, test=False)
    except UnsupportedOption:
        return  # Not offered in the first place, which is said in the name of the model asked for.
    try:
        complete_for(asked, heir, request, test=False)
    except UnsupportedOption as error:
        said = error.message
    else:
        return
    assert asked.id in said
    assert heir.id in said


def test_every_retired_model_runs_on_each_of_its_successors_when_nothing_is_given() -> None:
    for asked, heir in PAIRS:
        completed, _ = complete_for(asked, heir, VideoRequest("a kite"), test=False)
        assert completed.duration_s == asked.defaults.duration_s


# A model in place of another that is well.


def test_what_was_left_out_keeps_the_default_of_the_model_that_gave_way() -> None:
    request = VideoRequest("a kite", aspect_ratio="9:16")
    asked = with_defaults_of(complete(VEO_31, request, test=False), OMNI, request)
    assert asked.aspect_ratio == "9:16"
    assert asked.duration_s == VEO_31.defaults.duration_s != OMNI.defaults.duration_s


def test_a_default_that_the_other_model_does_not_offer_is_left_to_it() -> None:
    request = VideoRequest("a kite")
    asked = with_defaults_of(complete(VEO_2, request, test=False), OMNI, request)
    assert asked.generate_audio is None
    assert complete(OMNI, asked, test=False).generate_audio is True


def test_what_was_given_is_asked_of_the_other_model_whether_it_offers_it_or_not() -> None:
    request = VideoRequest("a kite", generate_audio=False)
    assert with_defaults_of(complete(VEO_2, request, test=False), OMNI, request).generate_audio is False
