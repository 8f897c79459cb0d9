"""Veo's fields in ours."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.api.gemini.veo_fields import Meaning, meaning_of
from rushes.errors import InvalidRequest, UnknownField, UnsupportedOption
from rushes.intake.renaming import renamed

FILE = "0123456789abcdefghjkmnpq0"
MOOD = {"image": {"bytesBase64Encoded": "aGk="}, "referenceType": "mood"}
PICTURE = {"bytesBase64Encoded": "aGk=", "mimeType": "image/png"}


def meant(instance: dict[str, Any] | None = None, parameters: object = None, **top: Any) -> Meaning:
    return meaning_of({"instances": [{"prompt": "x", **(instance or {})}], "parameters": parameters, **top})


def test_every_field_has_its_meaning() -> None:
    meaning = meant(
        {
            "image": PICTURE,
            "lastFrame": {"inlineData": {"data": "bG8=", "mimeType": "image/png"}},
            "referenceImages": [
                {"image": {"gcsUri": "https://a.example/1.png"}, "referenceType": "ASSET"},
                {"image": {"uri": "upload_1"}},
            ],
            "video": {"encodedVideo": "dmk=", "encoding": "video/mp4"},
        },
        {
            "aspectRatio": "9:16", "resolution": "720p", "durationSeconds": "8", "sampleCount": 2.0, "seed": 0,
            "negativePrompt": "fog", "personGeneration": "allow_all", "generateAudio": False, "enhancePrompt": True,
            "compressionQuality": "lossless", "resizeMode": "crop",
        },
        labels={"team": "a"},
        webhookConfig={"uris": ["https://a.example/hook"], "userMetadata": {"order": "7"}},
    )  # fmt: skip
    assert meaning.content == {
        "prompt": "x",
        "input_image": "aGk=",
        "last_frame": "bG8=",
        "reference_images": ["https://a.example/1.png", "upload_1"],
        "video": "dmk=",
        "video_task": "extend",
        "aspect_ratio": "9:16",
        "resolution": "720p",
        "duration": 8,
        "n": 2,
        "seed": 0,
        "negative_prompt": "fog",
        "person_generation": "allow_all",
        "generate_audio": False,
        "webhook_url": "https://a.example/hook",
        "metadata": {"team": "a", "order": "7"},
    }
    assert meaning.google_options == {"compressionQuality": "lossless", "resizeMode": "crop"}
    assert meaning.rewrites_prompt is True
    assert meaning.warnings == []


def test_null_means_not_given() -> None:
    meaning = meant({"image": None, "video": None}, {"seed": None, "storageUri": None}, labels=None, webhookConfig=None)
    assert meaning.content == {"prompt": "x"}
    assert meaning.warnings == []


def test_a_video_of_ours_is_named_and_not_sent_again() -> None:
    for video in ({"uri": f"https://a.example/v1beta/files/{FILE}:download?alt=media"}, {"gcsUri": f"files/{FILE}"}):
        content = meant({"video": video}).content
        assert (content["previous_job_id"], content["previous_index"]) == ("job_0123456789abcdefghjkmnpq", 0)
        assert "video" not in content


def test_what_is_unknown_where_google_looks_at_nothing_is_a_warning() -> None:
    meaning = meant({"style": "noir"}, {"durationSecond": 8, "tempo": None})
    assert meaning.warnings == [
        "instances[0].style is not known here and was ignored",
        "parameters.durationSecond is not known here and was ignored; did you mean 'durationSeconds'?",
        "parameters.tempo is not known here and was ignored",
    ]


def test_an_unknown_field_beside_them_is_refused_in_googles_words() -> None:
    with pytest.raises(
        UnknownField, match=r"Unknown name 'instance': Cannot find field\. Did you mean 'instances'"
    ) as it:
        meaning_of({"instance": []})
    assert (it.value.field, it.value.suggestions) == ("instance", ("instances",))


@pytest.mark.parametrize(
    ("instance", "parameters", "field"),
    [
        ({}, {"storageUri": "gs://a/b"}, "parameters.storageUri"),
        ({}, {"pubsubTopic": "t"}, "parameters.pubsubTopic"),
        ({"mask": {}}, {}, "instances[0].mask"),
        ({"image": {"gcsUri": "gs://a/b.png"}}, {}, "instances[0].image"),
        ({"image": {"uri": f"files/{FILE}"}}, {}, "instances[0].image"),
        ({"referenceImages": [MOOD]}, {}, "instances[0].referenceImages[0].referenceType"),
    ],
)  # fmt: skip
def test_what_no_model_here_can_do_is_refused_by_name(
    instance: dict[str, Any], parameters: dict[str, Any], field: str
) -> None:
    with pytest.raises(UnsupportedOption) as caught:
        meant(instance, parameters)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "instances"),
        ({"instances": []}, "instances"),
        ({"instances": [{}, {}]}, "instances"),
        ({"instances": ["x"]}, "instances"),
        ({"instances": [{"prompt": "x"}], "parameters": []}, "parameters"),
        ({"instances": [{"prompt": "x", "image": "aGk="}]}, "instances[0].image"),
        ({"instances": [{"prompt": "x", "image": {}}]}, "instances[0].image"),
        ({"instances": [{"prompt": "x", "image": {**PICTURE, "uri": "https://a.example"}}]}, "instances[0].image"),
        ({"instances": [{"prompt": "x", "lastFrame": {"bytesBase64Encoded": 1}}]}, "instances[0].lastFrame"),
        ({"instances": [{"prompt": "x", "referenceImages": {}}]}, "instances[0].referenceImages"),
        ({"instances": [{"prompt": "x", "referenceImages": [1]}]}, "instances[0].referenceImages[0]"),
        ({"instances": [{"prompt": "x"}], "parameters": {"durationSeconds": "long"}}, "parameters.durationSeconds"),
        ({"instances": [{"prompt": "x"}], "parameters": {"seed": True}}, "parameters.seed"),
        ({"instances": [{"prompt": "x"}], "parameters": {"enhancePrompt": "yes"}}, "parameters.enhancePrompt"),
        ({"instances": [{"prompt": "x"}], "labels": {"a": 1}}, "labels.a"),
        ({"instances": [{"prompt": "x"}], "webhookConfig": {"uris": ["a", "b"]}}, "webhookConfig.uris"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        meaning_of(body)
    assert [one.field for one in caught.value.fields] == [field]


def test_errors_about_our_fields_name_the_callers() -> None:
    meaning = meant({"referenceImages": [{"image": PICTURE}, {"image": PICTURE}]}, {"durationSeconds": 5})
    error = renamed(UnsupportedOption("duration 5 is not offered by 'x'; it offers 4", "duration"), meaning.names)
    assert isinstance(error, UnsupportedOption)
    assert (error.message, error.field) == (
        "parameters.durationSeconds 5 is not offered by 'x'; it offers 4",
        "parameters.durationSeconds",
    )
    for ours, theirs in (
        ("reference_images.1", "instances[0].referenceImages[1].image"),
        ("reference_image", "instances[0].referenceImages"),
        ("prompt", "instances[0].prompt"),
    ):
        error = renamed(UnsupportedOption(f"{ours}: the file is text", ours), meaning.names)
        assert isinstance(error, UnsupportedOption)
        assert (error.field, error.message) == (theirs, f"{theirs}: the file is text")
