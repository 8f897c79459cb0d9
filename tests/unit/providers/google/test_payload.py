from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rushes.domain.request import InputMedia, Role, VideoRequest, VideoTask
from rushes.errors import ProviderRejected
from rushes.providers.body import Inline
from rushes.providers.google.payload import interaction, tagged, task_for

KITE = VideoRequest(prompt="a red kite over dunes")


def built(request: VideoRequest = KITE, *roles: Role, **options: Any) -> dict[str, Any]:
    media = [
        (
            InputMedia(role, "key", "video/mp4" if role is Role.VIDEO else "image/png", 3, ""),
            Inline(bytes([number])),
        )
        for number, role in enumerate(roles)
    ]
    return interaction("gemini-omni-1.2-flash", replace(request, **options), media)


def test_a_request_with_every_option_becomes_exactly_this() -> None:
    body = built(KITE, Role.INPUT_IMAGE, aspect_ratio="16:9", resolution="720p", duration_s=6, seed=0)
    assert body == {
        "model": "gemini-omni-1.2-flash",
        "input": [
            {"type": "image", "data": Inline(b"\0"), "mime_type": "image/png"},
            {"type": "text", "text": "<FIRST_FRAME> a red kite over dunes"},
        ],
        "background": True,
        "response_format": {
            "type": "video",
            "delivery": "uri",
            "aspect_ratio": "16:9",
            "resolution": "720p",
            "duration": "6s",
        },
        "generation_config": {"seed": 0, "video_config": {"task": "image_to_video"}},
    }


def test_options_that_were_not_given_are_left_out() -> None:
    body = built()
    assert body["response_format"] == {"type": "video", "delivery": "uri"}
    assert body["generation_config"] == {"video_config": {"task": "text_to_video"}}


@pytest.mark.parametrize(
    ("roles", "text", "task"),
    [
        ([], "x", "text_to_video"),
        ([Role.INPUT_IMAGE], "<FIRST_FRAME> x", "image_to_video"),
        ([Role.INPUT_IMAGE, Role.LAST_FRAME], "<FIRST_FRAME> <LAST_FRAME> x", "image_to_video"),
        ([Role.REFERENCE_IMAGE], "<IMAGE_REF_0> x", "reference_to_video"),
        ([Role.REFERENCE_IMAGE] * 3, "<IMAGE_REF_0> <IMAGE_REF_1> <IMAGE_REF_2> x", "reference_to_video"),
        ([Role.VIDEO], "x", "extend"),
        (
            [Role.INPUT_IMAGE, Role.REFERENCE_IMAGE, Role.REFERENCE_IMAGE],
            "[# Sources <FIRST_FRAME>@Image1] [# References <IMAGE_REF_0>@Image2 <IMAGE_REF_1>@Image3] x",
            None,
        ),
    ],
)
def test_each_role_has_its_tag_and_task(roles: list[Role], text: str, task: str | None) -> None:
    assert tagged("x", roles) == text
    assert task_for(roles) == task


def test_a_tag_that_the_caller_wrote_is_not_repeated() -> None:
    prompt = "from <FIRST_FRAME> to <LAST_FRAME>"
    assert tagged(prompt, [Role.INPUT_IMAGE, Role.LAST_FRAME]) == prompt


def test_a_mixture_without_a_name_sends_no_task() -> None:
    assert "generation_config" not in built(KITE, Role.INPUT_IMAGE, Role.REFERENCE_IMAGE)


def test_a_video_is_a_video_block() -> None:
    assert built(KITE, Role.VIDEO)["input"][0] == {"type": "video", "data": Inline(b"\0"), "mime_type": "video/mp4"}


@pytest.mark.parametrize(
    "given",
    [{"negative_prompt": ""}, {"generate_audio": False}, {"person_generation": "allow_all"}, {"n": 2}],
)
def test_what_omni_has_no_words_for_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(ProviderRejected, match=next(iter(given))):
        built(**given)


def test_asking_for_audio_is_fine_because_there_always_is() -> None:
    assert "generate_audio" not in str(built(generate_audio=True))


def test_additional_params_are_merged_object_by_object() -> None:
    params = {"labels": {"a": "b"}, "response_format": {"fps": 24}, "generation_config": {"temperature": 0}}
    body = built(duration_s=3, seed=1, additional_params=params)
    assert body["labels"] == {"a": "b"}
    assert body["response_format"]["fps"] == 24
    assert body["response_format"]["duration"] == "3s"
    assert body["generation_config"] == {"temperature": 0, "seed": 1, "video_config": {"task": "text_to_video"}}


def test_merging_leaves_the_request_as_it_was() -> None:
    params: dict[str, Any] = {"generation_config": {"video_config": {}}}
    built(additional_params=params)
    assert params == {"generation_config": {"video_config": {}}}


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"background": False}, "background"),
        ({"model": "veo-3.0-generate-001"}, "model"),
        ({"input": "other"}, "input"),
        ({"response_format": {"delivery": "inline"}}, "response_format.delivery"),
        ({"response_format": {"duration": 10}}, "response_format.duration"),
        ({"response_format": []}, "response_format"),
        ({"store": False}, "store"),
        ({"stream": True}, "stream"),
        ({"generation_config": 3}, "generation_config"),
        ({"generation_config": {"video_config": None}}, "video_config"),
    ],
)
def test_additional_params_never_override_what_is_said(params: dict[str, Any], name: str) -> None:
    with pytest.raises(ProviderRejected, match=name):
        built(duration_s=6, additional_params=params)


def test_the_caller_may_name_a_task_that_has_no_portable_name() -> None:
    params = {"generation_config": {"video_config": {"task": "edit"}}}
    assert built(KITE, Role.VIDEO, additional_params=params)["generation_config"]["video_config"] == {"task": "edit"}


def test_with_a_former_interaction_the_task_is_left_to_google() -> None:
    body = built(additional_params={"previous_interaction_id": "v1_x"})
    assert body["previous_interaction_id"] == "v1_x"
    assert "generation_config" not in body


def test_clips_to_refer_to_have_tags_of_their_own() -> None:
    roles = [Role.INPUT_IMAGE, Role.REFERENCE_VIDEO, Role.REFERENCE_VIDEO]
    assert tagged("a kite", roles) == "<FIRST_FRAME> <VIDEO_REF_0> <VIDEO_REF_1> a kite"
    assert tagged("as in <VIDEO_REF_0>", [Role.REFERENCE_VIDEO]) == "as in <VIDEO_REF_0>"
    assert task_for([Role.REFERENCE_VIDEO]) == "reference_to_video"


@pytest.mark.parametrize("task", [VideoTask.EXTEND, VideoTask.EDIT])
def test_what_is_done_to_a_video_is_said_as_the_task(task: VideoTask) -> None:
    assert task_for([Role.VIDEO], task) == task.value
    assert task_for([Role.VIDEO]) == "extend"
