"""A request for a retired model, as its successor runs it."""

from __future__ import annotations

import pytest

from rushes.catalogue.load import load
from rushes.catalogue.model import Model
from rushes.catalogue.succession import complete_for
from rushes.errors import UnsupportedOption
from rushes.video.request import VideoRequest

CATALOGUE = load()


def google(model_id: str) -> Model:
    model = CATALOGUE.find("google", model_id)
    assert model is not None
    return model


VEO_2 = google("veo-2.0-generate-001")
VEO_3 = google("veo-3.0-generate-001")
VEO_31 = google("veo-3.1-generate-001")
OMNI = google("gemini-omni-1.2-flash")


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
