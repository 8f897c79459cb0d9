from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.errors import ProviderRejected
from rushes.providers.body import Inline
from rushes.providers.google.veo_payload import prediction

KITE = VideoRequest(prompt="a red kite over dunes")


def built(*roles: Role, folder: str | None = None, **options: Any) -> dict[str, Any]:
    media = [
        (InputMedia(role, "key", "video/mp4" if role is Role.VIDEO else "image/png", 3, ""), Inline(bytes([number])))
        for number, role in enumerate(roles)
    ]
    return prediction(replace(KITE, **options), media, folder=folder)


def file(number: int, mime_type: str = "image/png") -> dict[str, Any]:
    return {"bytesBase64Encoded": Inline(bytes([number])), "mimeType": mime_type}


def test_options_that_were_not_given_are_left_out() -> None:
    assert built() == {"instances": [{"prompt": "a red kite over dunes"}], "parameters": {"sampleCount": 1}}


@pytest.mark.parametrize(
    ("given", "name", "sent"),
    [
        ({"seed": 0}, "seed", 0),
        ({"generate_audio": False}, "generateAudio", False),
        ({"negative_prompt": ""}, "negativePrompt", ""),
        ({"n": 4}, "sampleCount", 4),
        ({"duration_s": 8}, "durationSeconds", 8),
        ({"folder": "gs://b/a/"}, "storageUri", "gs://b/a/"),
    ],
)
def test_meaningful_nothings_survive(given: dict[str, Any], name: str, sent: object) -> None:
    value = built(**given)["parameters"][name]
    assert value == sent
    assert type(value) is type(sent)


def test_each_role_has_its_place() -> None:
    instance = built(Role.LAST_FRAME, Role.INPUT_IMAGE)["instances"][0]
    assert instance == {"prompt": KITE.prompt, "lastFrame": file(0), "image": file(1)}
    assert built(Role.VIDEO)["instances"][0]["video"] == file(0, "video/mp4")


def test_references_keep_their_order() -> None:
    references = built(Role.REFERENCE_IMAGE, Role.REFERENCE_IMAGE)["instances"][0]["referenceImages"]
    assert references == [{"image": file(number), "referenceType": "asset"} for number in (0, 1)]


@pytest.mark.parametrize("role", [Role.INPUT_IMAGE, Role.LAST_FRAME, Role.VIDEO])
def test_a_second_file_in_a_role_for_one_is_refused(role: Role) -> None:
    with pytest.raises(ProviderRejected, match=role):
        built(role, role)


def test_params_of_the_callers_own_join_the_parameters() -> None:
    params = {"resizeMode": "crop", "compressionQuality": "lossless", "labels": {"team": "film"}}
    body = built(additional_params=params)
    assert body["parameters"] == {"sampleCount": 1, "resizeMode": "crop", "compressionQuality": "lossless"}
    assert body["labels"] == {"team": "film"}


def test_the_request_that_others_hold_stays_as_it_is() -> None:
    params = {"labels": {"team": "film"}, "nested": {"a": 1}}
    body = built(additional_params=params)
    body["labels"]["team"] = body["parameters"]["nested"]["a"] = "changed"
    assert params == {"labels": {"team": "film"}, "nested": {"a": 1}}


@pytest.mark.parametrize(
    ("given", "params"),
    [
        ({"n": 1}, {"sampleCount": 2}),
        ({"seed": 0}, {"seed": 1}),
        ({"folder": "gs://b/a/"}, {"storageUri": "gs://c/"}),
        ({"generate_audio": False}, {"generateAudio": True}),
    ],
)
def test_params_that_contradict_the_fields_are_refused(given: dict[str, Any], params: dict[str, Any]) -> None:
    with pytest.raises(ProviderRejected, match=next(iter(params))):
        built(**given, additional_params=params)
