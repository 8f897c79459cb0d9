"""Options against the entry: what is refused, in which words, and what is filled in."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rushes.catalogue.check import complete
from rushes.catalogue.load import load
from rushes.catalogue.model import Audio, Model
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.errors import CallerError, InvalidRequest, UnsupportedOption

CATALOGUE = load()


def google(model_id: str) -> Model:
    model = CATALOGUE.find("google", model_id)
    assert model is not None
    return model


VEO = google("veo-3.0-generate-001")
OMNI = google("gemini-omni-1.2-flash")
BARE = Model(
    id="bare", provider="acme", name="Bare", prompt_chars=10, usual_s=1, source="test", checked=date(2026, 11, 22)
)


def request(*roles: Role, **options: Any) -> VideoRequest:
    media = tuple(
        InputMedia(role=role, key=f"inputs/{index}", content_type="image/png", size_bytes=1, sha256="00")
        for index, role in enumerate(roles)
    )
    return VideoRequest(prompt="a kite", media=media, **options)


def refusal(model: Model, wanted: VideoRequest, *, test: bool = False) -> UnsupportedOption:
    with pytest.raises(UnsupportedOption) as caught:
        complete(model, wanted, test=test)
    return caught.value


def test_what_was_left_out_gets_the_models_defaults() -> None:
    completed = complete(VEO, request(), test=False)
    assert completed == request(aspect_ratio="16:9", resolution="720p", duration_s=8, generate_audio=True)


def test_what_was_given_is_kept() -> None:
    wanted = request(
        aspect_ratio="9:16", resolution="1080p", duration_s=4, n=4, seed=0, generate_audio=False,
        negative_prompt="", person_generation="dont_allow", additional_params={"resizeMode": "crop"},
    )  # fmt: skip
    assert complete(VEO, wanted, test=False) == wanted


@pytest.mark.parametrize(
    ("option", "value", "field", "said", "offer"),
    [
        ("aspect_ratio", "5:4", "aspect_ratio", "'5:4'", "it offers '16:9', '9:16'"),
        ("resolution", "4k", "resolution", "'4k'", "it offers '720p', '1080p'"),
        ("duration_s", 5, "duration", "5", "it offers 4, 6, 8"),
        ("duration_s", 0, "duration", "0", "it offers 4, 6, 8"),
        ("n", 5, "n", "5", "it makes at most 4"),
        ("person_generation", "", "person_generation", "''", "it offers 'allow_adult', 'dont_allow', 'allow_all'"),
    ],
)
def test_a_value_that_is_not_offered_is_refused_with_those_that_are(
    option: str, value: object, field: str, said: str, offer: str
) -> None:
    error = refusal(VEO, request(**{option: value}))
    assert error.field == field
    assert error.message == f"{field} {said} is not offered by 'veo-3.0-generate-001'; {offer}"


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("aspect_ratio", "16:9", "aspect_ratio"),
        ("resolution", "720p", "resolution"),
        ("duration_s", 8, "duration"),
        ("seed", 0, "seed"),
        ("negative_prompt", "", "negative_prompt"),
        ("person_generation", "allow_all", "person_generation"),
        ("generate_audio", True, "generate_audio"),
    ],
)
def test_an_option_that_the_model_does_not_have_is_refused_when_given(option: str, value: object, field: str) -> None:
    error = refusal(BARE, request(**{option: value}))
    assert error.field == field
    assert error.message.startswith(f"{field} ")
    assert "'bare'" in error.message


def test_a_model_without_options_completes_to_the_same_request() -> None:
    assert complete(BARE, request(), test=False) == request()


def test_sound_that_cannot_be_switched_off_is_accepted_on() -> None:
    assert complete(OMNI, request(generate_audio=True), test=False).generate_audio is True
    error = refusal(OMNI, request(generate_audio=False))
    assert error.message == (
        "generate_audio false is not offered by 'gemini-omni-1.2-flash'; "
        "its videos always have sound, so it offers true"
    )


def test_a_silent_model_accepts_silence() -> None:
    assert BARE.audio is Audio.NEVER
    assert complete(BARE, request(generate_audio=False), test=False).generate_audio is False


def test_less_than_one_video_is_invalid() -> None:
    with pytest.raises(InvalidRequest):
        complete(VEO, request(n=0), test=False)


def test_a_text_that_is_too_long_is_refused_with_the_limit() -> None:
    error = refusal(VEO, replace(request(), prompt="x" * 8193))
    assert error.field == "prompt"
    assert "8193 characters; 'veo-3.0-generate-001' takes at most 8192" in error.message
    assert len(error.message) < 250
    assert refusal(VEO, request(negative_prompt="x" * 8193)).field == "negative_prompt"
    complete(VEO, replace(request(), prompt="x" * 8192), test=False)


def test_test_keys_may_use_the_values_that_the_published_page_lists() -> None:
    assert complete(VEO, request(aspect_ratio="1:1"), test=True).aspect_ratio == "1:1"
    assert refusal(VEO, request(aspect_ratio="1:1")).field == "aspect_ratio"
    assert "it offers '16:9', '9:16', '1:1'" in refusal(VEO, request(aspect_ratio="5:4"), test=True).message


def test_media_in_a_role_that_is_not_taken_is_refused() -> None:
    lite = google("veo-3.1-lite-generate-001")
    error = refusal(lite, request(Role.VIDEO))
    assert error.field == "video"
    assert error.message == "video is not offered by 'veo-3.1-lite-generate-001'; it takes 'input_image', 'last_frame'"
    assert refusal(BARE, request(Role.INPUT_IMAGE)).message == "input_image is not offered by 'bare'; it takes no media"


def test_more_media_than_are_taken_are_refused() -> None:
    complete(VEO, request(*[Role.REFERENCE_IMAGE] * 3), test=False)
    error = refusal(VEO, request(*[Role.REFERENCE_IMAGE] * 4))
    assert error.message == "reference_image is given 4 times; 'veo-3.0-generate-001' takes at most 3"


def test_a_last_frame_needs_a_first() -> None:
    complete(VEO, request(Role.INPUT_IMAGE, Role.LAST_FRAME), test=False)
    error = refusal(VEO, request(Role.LAST_FRAME))
    assert error.message == "last_frame needs input_image with 'veo-3.0-generate-001'; add it"


@pytest.mark.parametrize("other", [Role.INPUT_IMAGE, Role.VIDEO])
def test_reference_images_stand_alone(other: Role) -> None:
    error = refusal(VEO, request(Role.REFERENCE_IMAGE, other))
    assert f"reference_image and {other} cannot be combined" in error.message


def test_an_input_may_narrow_the_durations() -> None:
    assert complete(VEO, request(Role.REFERENCE_IMAGE), test=False).duration_s == 8
    error = refusal(VEO, request(Role.REFERENCE_IMAGE, duration_s=4))
    assert error.field == "duration"
    assert error.message == (
        "duration 4 is not offered by 'veo-3.0-generate-001' together with reference_image; it offers 8"
    )
    assert complete(OMNI, request(duration_s=15), test=False).duration_s == 15
    assert refusal(OMNI, request(Role.INPUT_IMAGE, Role.LAST_FRAME, duration_s=15)).field == "duration"


models = st.sampled_from([*CATALOGUE.models(), BARE])
requests = st.builds(
    lambda roles, **options: request(*roles, **options),
    st.lists(st.sampled_from(Role), max_size=3),
    aspect_ratio=st.none() | st.sampled_from(["16:9", "1:1", "odd"]),
    resolution=st.none() | st.sampled_from(["720p", "1080p", "4k", "8k"]),
    duration_s=st.none() | st.integers(-1, 12),
    n=st.integers(0, 11),
    seed=st.none() | st.integers(-1, 1),
    negative_prompt=st.none() | st.text(max_size=3),
    generate_audio=st.none() | st.booleans(),
    person_generation=st.none() | st.sampled_from(["allow_all", "odd"]),
)
gentle = st.builds(
    lambda roles, **options: request(*roles, **options),
    st.lists(st.sampled_from(Role), max_size=1),
    duration_s=st.none() | st.sampled_from([4, 8]),
    aspect_ratio=st.none() | st.sampled_from(["16:9", "9:16"]),
    generate_audio=st.none() | st.booleans(),
)


def outcome(model: Model, wanted: VideoRequest, *, test: bool) -> VideoRequest | CallerError:
    try:
        return complete(model, wanted, test=test)
    except CallerError as error:
        return error


@given(models, gentle | requests, st.booleans())
def test_completing_twice_changes_nothing(model: Model, wanted: VideoRequest, test: bool) -> None:
    completed = outcome(model, wanted, test=test)
    assume(isinstance(completed, VideoRequest))
    assert isinstance(completed, VideoRequest)
    assert complete(model, completed, test=test) == completed
    for option in ("aspect_ratio", "resolution", "duration_s", "generate_audio", "seed", "n", "media"):
        given_value = getattr(wanted, option)
        assert given_value is None or getattr(completed, option) == given_value


@given(models, requests, st.booleans())
def test_a_refusal_names_its_field_and_avoids_the_words_that_clients_map(
    model: Model, wanted: VideoRequest, test: bool
) -> None:
    error = outcome(model, wanted, test=test)
    if isinstance(error, UnsupportedOption):
        assert error.field in error.message
        assert model.id in error.message
        assert "validation" not in error.message.lower()
        assert "invalid format" not in error.message.lower()
    elif isinstance(error, InvalidRequest):
        assert error.fields[0].field == "n"
