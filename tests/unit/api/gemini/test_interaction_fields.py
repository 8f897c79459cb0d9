"""An interaction's fields in ours."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.api.gemini.interaction_fields import Order, order_of
from rushes.errors import InvalidRequest, UnknownField, UnsupportedOption

FILE = "0123456789abcdefghjkmnpq0"


def image(data: str) -> dict[str, str]:
    return {"type": "image", "data": data, "mime_type": "image/png"}


def video(data: str) -> dict[str, str]:
    return {"type": "video", "data": data, "mime_type": "video/mp4"}


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def asked(given: object = "x", task: str | None = None, **fields: Any) -> Order:
    config = {} if task is None else {"generation_config": {"video_config": {"task": task}}}
    return order_of({"model": "m", "input": given, **config, **fields})


def test_every_field_has_its_meaning() -> None:
    order = asked(
        "a mole",
        background=True,
        store=True,
        stream=False,
        service_tier="standard",
        response_modalities=["video"],
        response_format=[
            {"type": "video", "aspect_ratio": "9:16", "resolution": "1080p", "duration": "6s", "delivery": "uri"}
        ],
        generation_config={"seed": 0, "video_config": {"task": "text_to_video"}},
        labels={"team": "a"},
        webhook_config={"uris": ["https://a.example/hook"], "user_metadata": {"order": "7"}},
    )
    assert order.meaning.content == {
        "prompt": "a mole",
        "aspect_ratio": "9:16",
        "resolution": "1080p",
        "duration": 6,
        "seed": 0,
        "webhook_url": "https://a.example/hook",
        "metadata": {"team": "a", "order": "7"},
    }
    assert (order.model, order.waits, order.response_format, order.task_is_open) == ("m", False, "url", False)


def test_without_a_word_the_answer_waits_and_has_the_video_inside() -> None:
    order = asked("x", background=None, response_format=None)
    assert (order.waits, order.response_format) == (True, "b64_json")


@pytest.mark.parametrize(
    "given",
    [
        "a mole",
        [text("a mole")],
        text("a mole"),
        [{"type": "user_input", "content": [text("a mole")]}],
        [{"type": "user_input", "content": "a mole"}],
    ],
)
def test_an_input_may_have_each_of_googles_forms(given: object) -> None:
    assert asked(given).meaning.content == {"prompt": "a mole"}


@pytest.mark.parametrize(
    ("words", "task", "images", "expected"),
    [
        ("x", None, "a", {"input_image": "a"}),
        ("x", None, "ab", {"reference_images": ["a", "b"]}),
        ("x", "image_to_video", "ab", {"input_image": "a", "last_frame": "b"}),
        ("x", "reference_to_video", "a", {"reference_images": ["a"]}),
        ("<FIRST_FRAME> x", None, "a", {"input_image": "a"}),
        ("<LAST_FRAME> x", None, "a", {"last_frame": "a"}),
        ("<FIRST_FRAME> <LAST_FRAME> x", None, "ab", {"input_image": "a", "last_frame": "b"}),
        ("<FIRST_FRAME> x", None, "ab", {"input_image": "a", "reference_images": ["b"]}),
        (
            "[# Sources <FIRST_FRAME>@Image2] [# References <IMAGE_REF_1>@Image1 <IMAGE_REF_0>@Image3] x",
            None,
            "abc",
            {"input_image": "b", "reference_images": ["c", "a"]},
        ),
    ],
)
def test_tags_and_the_task_say_what_an_image_is_for(
    words: str, task: str | None, images: str, expected: dict[str, Any]
) -> None:
    order = asked([*(image(name) for name in images), text(words)], task)
    assert order.meaning.content == {"prompt": "x", **expected}


def test_a_reference_that_the_text_speaks_of_stays_in_it() -> None:
    content = asked([image("a"), image("b"), text("<IMAGE_REF_0> meets <IMAGE_REF_1>")]).meaning.content
    assert content == {"prompt": "<IMAGE_REF_0> meets <IMAGE_REF_1>", "reference_images": ["a", "b"]}


def test_videos_are_worked_on_or_referred_to() -> None:
    assert asked([video("v"), text("x")], "extend").meaning.content == {
        "prompt": "x", "video": "v", "video_task": "extend"
    }  # fmt: skip
    order = asked([video("v"), text("x")])
    assert (order.meaning.content, order.task_is_open) == ({"prompt": "x", "video": "v"}, True)
    words = "as in <VIDEO_REF_0>"
    assert asked([video("v"), text(words)]).meaning.content == {"prompt": words, "reference_videos": ["v"]}
    both = asked([video("r"), video("v"), text(words)], "edit").meaning.content
    assert both == {"prompt": words, "video": "v", "reference_videos": ["r"], "video_task": "edit"}
    sound = {"type": "audio", "data": "s", "mime_type": "audio/wav"}
    assert asked([sound, text("x")]).meaning.content == {"prompt": "x", "reference_audios": ["s"]}


def test_a_video_of_ours_and_a_previous_interaction_are_gone_on_from() -> None:
    block = {"type": "video", "uri": f"https://a.example/v1beta/files/{FILE}:download?alt=media"}
    content = asked([block, text("x")], "extend").meaning.content
    assert (content["previous_job_id"], content["previous_index"]) == ("job_0123456789abcdefghjkmnpq", 0)
    order = asked("x", previous_interaction_id="job_1")
    assert (order.meaning.content["previous_job_id"], order.task_is_open) == ("job_1", True)
    with pytest.raises(UnsupportedOption, match="give one of the two"):
        asked([block, text("x")], previous_interaction_id="job_1")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"store": False}, "store"),
        ({"stream": True}, "stream"),
        ({"tools": []}, "tools"),
        ({"agent": "a"}, "agent"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"response_modalities": ["text"]}, "response_modalities"),
        ({"response_format": {"type": "text"}}, "response_format.type"),
        ({"response_format": {"gcs_uri": "gs://a"}}, "response_format.gcs_uri"),
        ({"response_format": {"delivery": ["uri"]}}, "response_format.delivery"),
        ({"generation_config": {"temperature": 1}}, "generation_config.temperature"),
        ({"generation_config": {"video_config": {"task": "dream"}}}, "generation_config.video_config.task"),
        ({"input": [{"type": "document", "data": "a"}]}, "input[0].type"),
        ({"input": [{"type": []}]}, "input[0].type"),
        ({"input": [{"type": "image", "uri": "gs://a/b"}]}, "input[0]"),
    ],
)
def test_what_has_no_meaning_for_a_video_is_refused_by_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(UnsupportedOption) as caught:
        order_of({"model": "m", "input": "x", **fields})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [7]}, "input[0]"),
        ({"input": [text("x"), {"type": "text"}]}, "input[1].text"),
        ({"input": [{"type": "image", "mime_type": "image/png"}]}, "input[0]"),
        ({"input": [text("<FIRST_FRAME> x")]}, "input"),
        ({"input": [image("a"), text("<FIRST_FRAME>@Image2 x")]}, "input"),
        ({"background": "yes"}, "background"),
        ({"previous_interaction_id": 7}, "previous_interaction_id"),
        ({"response_format": {"duration": 6}}, "response_format.duration"),
        ({"response_format": {"duration": "6.5s"}}, "response_format.duration"),
        ({"response_format": [{}, {}]}, "response_format"),
        ({"generation_config": {"seed": "a"}}, "generation_config.seed"),
        ({"generation_config": []}, "generation_config"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        order_of({"model": "m", "input": "x", **fields})
    assert [one.field for one in caught.value.fields] == [field]


def test_an_unknown_field_is_refused_with_what_comes_near() -> None:
    with pytest.raises(UnknownField) as caught:
        order_of({"model": "m", "input": "x", "backgrond": True})
    assert (caught.value.field, caught.value.suggestions) == ("backgrond", ("background",))
