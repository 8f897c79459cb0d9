"""OpenRouter's fields in our own words."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.api.openrouter.fields import MOST_WARNINGS, Meaning, meaning_of, with_model
from rushes.catalogue.load import load
from rushes.errors import FieldError, InvalidRequest, UnsupportedOption, UnusableInput
from rushes.intake.renaming import renamed

CATALOGUE = load()
MINIMAL = {"model": "google/veo-3.1", "prompt": "a mole"}


def read(**fields: Any) -> Meaning:
    return meaning_of({**MINIMAL, **fields})


def content_for(model: str, **fields: Any) -> dict[str, Any]:
    found = CATALOGUE.find(*model.split("/", 1))
    assert found is not None
    return with_model(read(**fields), found)


def image(url: str = "https://e.com/a.png") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_every_field_means_one_of_ours() -> None:
    meaning = read(
        aspect_ratio="16:9", resolution="4K", duration=8, seed=0, generate_audio=False, user="ann",
        frame_images=[{**image("a"), "frame_type": "last_frame"}, {**image("b"), "frame_type": "first_frame"}],
        input_references=[
            image("r1"), {"type": "video_url", "video_url": {"url": "v"}}, image("r2"),
            {"type": "audio_url", "audio_url": {"url": "s"}},
        ],
        callback_url="https://e.com/hook", session_id="s-1", trace={"trace_id": "t", "cost": 7},
    )  # fmt: skip
    assert meaning.model == "google/veo-3.1"
    assert meaning.content == {
        "prompt": "a mole", "aspect_ratio": "16:9", "resolution": "4k", "duration": 8, "seed": 0,
        "generate_audio": False, "user": "ann", "last_frame": "a", "input_image": "b",
        "reference_images": ["r1", "r2"], "reference_videos": ["v"], "reference_audios": ["s"],
        "webhook_url": "https://e.com/hook",
        "webhook_events": ["video.completed", "video.failed", "video.cancelled"],
        "metadata": {"session_id": "s-1", "trace.trace_id": "t", "trace.cost": "7"},
    }  # fmt: skip
    assert meaning.warnings == []


def test_null_means_not_given() -> None:
    names = ("duration", "frame_images", "provider", "trace", "callback_url", "session_id", "upscale_factor", "colour")
    assert read(**dict.fromkeys(names)).content == {"prompt": "a mole"}


def test_the_session_of_the_body_comes_before_that_of_the_header() -> None:
    assert meaning_of(MINIMAL, "head").content["metadata"] == {"session_id": "head"}
    assert meaning_of({**MINIMAL, "session_id": "body"}, "head").content["metadata"] == {"session_id": "body"}


def test_unknown_fields_are_ignored_and_that_is_said() -> None:
    meaning = read(durations=5, models=["a"], provider={"order": ["x"], "options": {}})
    assert "durations was ignored: there is no such field; did you mean 'duration'?" in meaning.warnings
    assert any(warning.startswith("provider.order was ignored") for warning in meaning.warnings)
    assert "duration" not in meaning.content


def test_however_many_are_unknown_few_are_named() -> None:
    warnings = read(**{f"{'x' * 500}{number}": 1 for number in range(100)}).warnings
    assert len(warnings) == MOST_WARNINGS
    assert max(len(one) for one in warnings) < 300


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"frame_images": {}}, "frame_images"),
        ({"frame_images": [image()]}, "frame_images.0.frame_type"),
        ({"frame_images": [{**image(), "frame_type": "middle"}]}, "frame_images.0.frame_type"),
        ({"frame_images": [{**image(), "frame_type": "first_frame", "type": "video_url"}]}, "frame_images.0.type"),
        ({"frame_images": [{"type": "image_url", "frame_type": "first_frame"}]}, "frame_images.0.image_url"),
        ({"frame_images": [{**image(), "frame_type": "first_frame"}] * 2}, "frame_images.1"),
        ({"input_references": ["https://e.com/a.png"]}, "input_references.0"),
        ({"input_references": [{"type": "text"}]}, "input_references.0.type"),
        ({"input_references": [{"type": "image_url", "image_url": {"url": 3}}]}, "input_references.0.image_url"),
        ({"input_references": [image()] * 17}, "input_references"),
        ({"callback_url": "http://e.com/hook"}, "callback_url"),
        ({"callback_url": 3}, "callback_url"),
        ({"session_id": "x" * 257}, "session_id"),
        ({"trace": "t"}, "trace"),
        ({"trace": {"x" * 40: "y"}}, "trace"),
        ({"trace": {"x": "y" * 501}}, "trace.x"),
        ({"trace": {str(number): "y" for number in range(17)}}, "trace"),
        ({"provider": []}, "provider"),
        ({"provider": {"options": []}}, "provider.options"),
        ({"provider": {"options": {"xai": 1}}}, "provider.options.xai"),
    ],
)
def test_a_malformed_field_is_refused_by_its_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert [field.field for field in caught.value.fields] == [named]


@pytest.mark.parametrize("name", ["upscale_factor", "creativity"])
def test_what_is_for_upscaling_alone_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedOption, match=name):
        read(**{name: 2})


class TestOptions:
    def test_those_of_the_models_provider_are_passed_on_and_others_are_not(self) -> None:
        meaning = read(provider={"options": {"byteplus": {"camera_fixed": True}, "minimax": {"x": 1}}})
        found = CATALOGUE.find("seedance", "seedance-2-5-260628")
        assert found is not None
        assert with_model(meaning, found)["additional_params"] == {"camera_fixed": True}
        assert meaning.warnings == ["provider.options.minimax was ignored: the model is of 'seedance'"]
        assert meaning.names["additional_params"] == "provider.options.byteplus"

    def test_our_own_name_of_a_provider_is_a_slug_too(self) -> None:
        given = content_for("animatic/storyboard", provider={"options": {"animatic": {"n": 2}}})
        assert given["additional_params"] == {"n": 2}

    def test_googles_names_are_those_of_our_fields(self) -> None:
        options = {"google-vertex": {"negativePrompt": "rain", "personGeneration": "dont_allow", "seedling": 1}}
        assert content_for("google/veo-3.1-generate-001", provider={"options": options})["additional_params"] == {
            "negative_prompt": "rain", "person_generation": "dont_allow", "seedling": 1,
        }  # fmt: skip

    def test_one_option_by_two_slugs_must_be_the_same(self) -> None:
        both = {"google-vertex": {"x": 1}, "google-ai-studio": {"x": 1}}
        assert content_for("google/veo-3.1-generate-001", provider={"options": both})["additional_params"] == {"x": 1}
        both["google-ai-studio"]["x"] = 2
        with pytest.raises(UnsupportedOption, match=r"google-ai-studio\.x is given twice"):
            content_for("google/veo-3.1-generate-001", provider={"options": both})

    def test_openrouter_itself_gets_all_of_them(self) -> None:
        options = {"google-vertex": {"negativePrompt": "rain", "output_config": {}}, "minimax": {"x": 1}}
        assert content_for("openrouter/google/veo-3.1", provider={"options": options})["additional_params"] == {
            "negative_prompt": "rain",
            "provider": {"options": {"google-vertex": {"output_config": {}}, "minimax": {"x": 1}}},
        }


def test_a_video_is_extended_where_the_model_can_and_else_changed_as_it_can() -> None:
    editor = next(model for model in CATALOGUE.models() if list(model.video_tasks) == ["edit"])
    given = content_for(f"{editor.provider}/{editor.id}", previous_job_id="job_1")
    assert given["video_task"] == "edit"
    extender = next(model for model in CATALOGUE.models() if "extend" in model.video_tasks)
    assert "video_task" not in content_for(f"{extender.provider}/{extender.id}", previous_job_id="job_1")
    silent = content_for("animatic/storyboard")
    assert "video_task" not in silent


def test_an_error_of_ours_is_told_in_the_callers_names() -> None:
    names = read(
        frame_images=[{**image(), "frame_type": "last_frame"}], input_references=[image(), image()],
        callback_url="https://e.com/x", previous_job_id="job_1",
    ).names  # fmt: skip
    refused = renamed(UnusableInput("last_frame: is no picture", "last_frame"), names)
    assert (refused.field, str(refused)) == ("frame_images.0", "frame_images.0: is no picture")  # type: ignore[attr-defined]
    refused = renamed(UnusableInput("reference_images.1: is no picture", "reference_images.1"), names)
    assert refused.field == "input_references.1"  # type: ignore[attr-defined]
    refused = renamed(UnsupportedOption("reference_image is not offered", "reference_image"), names)
    assert refused.field == "input_references"  # type: ignore[attr-defined]
    several = InvalidRequest("x", [FieldError("webhook_url", "no")])
    assert [field.field for field in renamed(several, names).fields] == ["callback_url"]  # type: ignore[attr-defined]
