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
from rushes.catalogue.model import Audio, Defaults, InputLimit, InputRule, Model, OptionRule, TaskEntry
from rushes.domain.request import InputMedia, Role, VideoRequest, VideoTask
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


REMAKER = BARE.model_copy(
    update={
        "prompt_chars": 100,
        "aspect_ratios": ("16:9", "9:16"),
        "resolutions": ("720p", "1080p"),
        "durations_s": (4, 8),
        "audio": Audio.OPTIONAL,
        "defaults": Defaults(aspect_ratio="16:9", resolution="720p", duration_s=8, generate_audio=False),
        "inputs": {
            Role.VIDEO: 1,
            Role.INPUT_IMAGE: 1,
            Role.LAST_FRAME: 1,
            Role.REFERENCE_VIDEO: 3,
            Role.REFERENCE_AUDIO: 2,
        },
        "input_limits": {
            Role.REFERENCE_VIDEO: InputLimit(total_s=15),
            Role.REFERENCE_AUDIO: InputLimit(least_s=2, most_s=15),
        },
        "input_rules": (
            InputRule(role=Role.LAST_FRAME, resolutions=("1080p",)),
            InputRule(role=Role.REFERENCE_AUDIO, needs_one_of=(Role.INPUT_IMAGE, Role.REFERENCE_VIDEO)),
        ),
        "option_rules": (
            OptionRule(resolution="1080p", durations_s=(4,)),
            OptionRule(audio=True, aspect_ratios=("16:9",)),
        ),
        "most_inputs": 4,
        "tasks": {
            VideoTask.EXTEND: TaskEntry(durations_s=(5, 6), duration_s=6, most_s=30),
            VideoTask.EDIT: TaskEntry(durations_s=(), aspect_ratios=(), resolutions=(), least_s=3),
        },
    }
)


def lasting(role: Role, *lengths_s: float | None) -> VideoRequest:
    files = tuple(InputMedia(role, f"inputs/{role}", "video/mp4", 1, "00", length_s) for length_s in lengths_s)
    picture = InputMedia(Role.INPUT_IMAGE, "inputs/picture", "image/png", 1, "00")
    return VideoRequest("a kite", media=files if role is Role.VIDEO else (*files, picture))


def test_a_video_is_extended_unless_the_request_says_otherwise() -> None:
    completed = complete(REMAKER, request(Role.VIDEO), test=False)
    assert (completed.video_task, completed.duration_s, completed.resolution) == (VideoTask.EXTEND, 6, "720p")


def test_an_edit_takes_its_length_and_shape_from_the_video() -> None:
    completed = complete(REMAKER, request(Role.VIDEO, video_task=VideoTask.EDIT), test=False)
    assert (completed.duration_s, completed.resolution, completed.aspect_ratio) == (None, None, None)
    error = refusal(REMAKER, request(Role.VIDEO, video_task=VideoTask.EDIT, duration_s=4))
    assert error.message == "duration 4 is not offered by 'bare' for video_task 'edit'; it takes no duration"


def test_a_task_that_the_model_lacks_is_refused_with_those_that_it_has() -> None:
    error = refusal(REMAKER, request(Role.VIDEO, video_task=VideoTask.UPSCALE))
    assert (error.field, error.message) == (
        "video_task",
        "video_task 'upscale' is not offered by 'bare'; it offers 'extend', 'edit'",
    )


def test_a_task_needs_a_video() -> None:
    error = refusal(REMAKER, request(video_task=VideoTask.EXTEND))
    assert error.message == "video_task 'extend' needs a video; add video or previous_job_id"


def test_a_model_that_lists_no_tasks_extends() -> None:
    model = REMAKER.model_copy(update={"tasks": {}})
    assert complete(model, request(Role.VIDEO), test=False).duration_s == 8
    assert refusal(model, request(Role.VIDEO, video_task=VideoTask.EDIT)).field == "video_task"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (lasting(Role.REFERENCE_AUDIO, 15.01), "reference_audios lasts 15.01 s; 'bare' takes at most 15 s"),
        (lasting(Role.REFERENCE_AUDIO, 5, 1.9), "reference_audios lasts 1.9 s; 'bare' takes at least 2 s"),
        (
            lasting(Role.REFERENCE_VIDEO, 8, 7.5),
            "reference_videos lasts 15.5 s in all; 'bare' takes at most 15 s in all",
        ),
        (lasting(Role.VIDEO, 31), "video lasts 31 s; 'bare' takes at most 30 s"),
    ],
)
def test_a_file_that_is_too_long_or_too_short_is_refused(wanted: VideoRequest, message: str) -> None:
    assert refusal(REMAKER, wanted).message == message


@pytest.mark.parametrize(
    "wanted",
    [
        lasting(Role.REFERENCE_AUDIO, 15, 2),
        lasting(Role.REFERENCE_VIDEO, 7.5, 7.5),
        lasting(Role.VIDEO, 30),
        lasting(Role.REFERENCE_AUDIO, None),
    ],
)
def test_a_file_of_an_allowed_or_unknown_length_is_taken(wanted: VideoRequest) -> None:
    complete(REMAKER, wanted, test=False)


def test_a_file_that_the_model_cannot_do_without_is_asked_for() -> None:
    model = REMAKER.model_copy(update={"required_inputs": (Role.INPUT_IMAGE,)})
    error = refusal(model, request())
    assert (error.field, error.message) == ("input_image", "input_image is missing; 'bare' makes no video without it")
    assert complete(model, request(Role.INPUT_IMAGE), test=False).media


@pytest.mark.parametrize(("names", "offer"), [(("steps",), "it offers 'steps'"), ((), "it takes none")])
def test_additional_params_that_are_listed_are_all_that_is_taken(names: tuple[str, ...], offer: str) -> None:
    model = REMAKER.model_copy(update={"additional_params": names})
    error = refusal(model, request(additional_params={"cfg": 4}))
    assert error.message == f"additional_params 'cfg' is not offered by 'bare'; {offer}"
    assert complete(REMAKER, request(additional_params={"cfg": 4}), test=False).additional_params == {"cfg": 4}


def test_an_input_that_needs_one_of_several_names_them() -> None:
    error = refusal(REMAKER, request(Role.REFERENCE_AUDIO))
    assert error.message == "reference_audios needs input_image or reference_videos with 'bare'; add one"


def test_all_files_together_are_limited() -> None:
    roles = [Role.INPUT_IMAGE, *[Role.REFERENCE_VIDEO] * 3, Role.REFERENCE_AUDIO]
    assert refusal(REMAKER, request(*roles)).message == "5 files are given; 'bare' takes at most 4 in all"


def test_an_option_left_out_follows_what_the_inputs_ask_for() -> None:
    completed = complete(REMAKER, request(Role.LAST_FRAME), test=False)
    # The frame asks for 1080p, and 1080p for 4 s.
    assert (completed.resolution, completed.duration_s) == ("1080p", 4)
    error = refusal(REMAKER, request(Role.LAST_FRAME, resolution="720p"))
    assert error.message == "resolution '720p' is not offered by 'bare' together with last_frame; it offers '1080p'"


def test_options_that_do_not_go_together_are_refused_by_both_names() -> None:
    error = refusal(REMAKER, request(resolution="1080p", duration_s=8))
    assert error.message == "duration 8 is not offered by 'bare' together with resolution '1080p'; it offers 4"
    error = refusal(REMAKER, request(aspect_ratio="9:16", generate_audio=True))
    assert error.message == (
        "aspect_ratio '9:16' is not offered by 'bare' together with generate_audio true; it offers '16:9'"
    )


def test_a_completed_request_is_complete() -> None:
    for wanted in (request(Role.VIDEO), request(Role.LAST_FRAME), request(Role.VIDEO, video_task=VideoTask.EDIT)):
        completed = complete(REMAKER, wanted, test=False)
        assert complete(REMAKER, completed, test=False) == completed


FRAMED = BARE.model_copy(
    update={
        "aspect_ratios": ("16:9", "9:16", "1:1"),
        "resolutions": ("720p", "1080p"),
        "defaults": Defaults(aspect_ratio="16:9", resolution="720p"),
        "inputs": {Role.INPUT_IMAGE: 1, Role.LAST_FRAME: 1},
    }
)


def test_an_option_that_follows_from_an_input_is_not_pinned_and_not_taken() -> None:
    rule = InputRule(role=Role.INPUT_IMAGE, follows=("aspect_ratio",))
    model = FRAMED.model_copy(update={"input_rules": (rule,)})
    completed = complete(model, request(Role.INPUT_IMAGE), test=False)
    assert (completed.aspect_ratio, completed.resolution) == (None, "720p")
    assert complete(model, request(), test=False).aspect_ratio == "16:9"
    error = refusal(model, request(Role.INPUT_IMAGE, aspect_ratio="1:1"))
    assert error.field == "aspect_ratio"
    assert "together with input_image; it takes no aspect_ratio" in error.message


def test_a_rule_may_hold_while_an_input_is_left_out() -> None:
    rule = InputRule(role=Role.INPUT_IMAGE, given=False, aspect_ratios=("16:9", "9:16"))
    model = FRAMED.model_copy(update={"input_rules": (rule,)})
    assert complete(model, request(Role.INPUT_IMAGE, aspect_ratio="1:1"), test=False).aspect_ratio == "1:1"
    error = refusal(model, request(aspect_ratio="1:1"))
    assert "aspect_ratio '1:1' is not offered by 'bare' without input_image; it offers" in error.message
