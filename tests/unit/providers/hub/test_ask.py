"""A request in a model's own words: nothing that was given is lost, and nothing else is said."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import combinations_with_replacement
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rushes.catalogue.check import complete, offers_of
from rushes.catalogue.load import ProviderEntry, load, models_of
from rushes.catalogue.model import Model
from rushes.domain.request import InputMedia, Role, VideoRequest, VideoTask
from rushes.errors import UnsupportedOption
from rushes.providers.hub.ask import Ask, ask_for
from rushes.providers.hub.wire import check

HUBS = ("fal", "replicate")
SHIPPED = [model for hub in HUBS for model in load().models(hub)]
BASE: dict[str, Any] = {
    "id": "acme/films", "name": "Films", "prompt_chars": 1000, "usual_s": 60, "source": "a page",
    "checked": "2026-11-30",
}  # fmt: skip


def entry(wire: dict[str, Any], **fields: Any) -> Model:
    """An entry whose table is in order."""
    (model,) = models_of("here", ProviderEntry(provider="fal", name="fal"), [{**BASE, "wire": wire, **fields}])
    assert check(model) is None, check(model)
    return model


def file(role: Role, number: int = 0) -> InputMedia:
    return InputMedia(role, f"inputs/{role}-{number}", "image/png", 1, "0" * 64, duration_s=4.0)


def asked(model: Model, *roles: Role, **options: Any) -> Ask:
    """What is sent, with each file by its key."""
    media = tuple(file(role, number) for number, role in enumerate(roles))
    return ask(model, VideoRequest("a kite", media=media, **options))


def ask(model: Model, request: VideoRequest) -> Ask:
    return ask_for(model, request, [(item.role, item.key) for item in request.media], hub="fal")


def test_without_calls_the_entrys_id_is_asked() -> None:
    assert asked(entry({"fields": {"prompt": "text_prompt"}})) == Ask("acme/films", {"text_prompt": "a kite"}, None)


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("length", {"length": 6}),
        ({"name": "duration", "text": "{}"}, {"duration": "6"}),
        ({"name": "duration", "text": "{}s"}, {"duration": "6s"}),
        ({"name": "num_frames", "per_s": 24, "plus": 1}, {"num_frames": 145}),
        ({"name": "duration", "choices": {"6": "long"}}, {"duration": "long"}),
        ({"name": "duration", "also": {"unit": "s"}}, {"duration": 6, "unit": "s"}),
    ],
)
def test_a_length_is_spelled_as_the_model_wants_it(field: Any, sent: dict[str, Any]) -> None:
    model = entry({"fields": {"prompt": "prompt", "duration": field}}, durations_s=[4, 6])
    assert asked(model, duration_s=6).input == {"prompt": "a kite", **sent}


@pytest.mark.parametrize(
    ("choices", "value", "sent"),
    [({}, False, False), ({"false": "off", "true": "on"}, False, "off"), ({"true": "on"}, False, False)],
)
def test_a_false_switch_survives(choices: dict[str, Any], value: bool, sent: object) -> None:
    wire = {"fields": {"prompt": "prompt", "generate_audio": {"name": "sound", "choices": choices}}}
    assert asked(entry(wire, audio="optional"), generate_audio=value).input["sound"] is sent or sent == "off"
    assert asked(entry(wire, audio="optional"), generate_audio=value).input["sound"] == sent


def test_meaningful_nothings_survive() -> None:
    fields = {"prompt": "prompt", "seed": "seed", "negative_prompt": "negative_prompt"}
    model = entry({"fields": fields}, seed=True, negative_prompt=True)
    assert asked(model, seed=0, negative_prompt="").input == {"prompt": "a kite", "seed": 0, "negative_prompt": ""}


def test_pixels_stand_for_ratio_and_resolution() -> None:
    options: dict[str, Any] = {"aspect_ratios": ["16:9", "9:16"], "resolutions": ["480p", "720p"]}
    wire = {"fields": {"prompt": "prompt", "size": {"name": "size", "choices": {"1280x720": "1280*720"}}}}
    assert asked(entry(wire, **options), aspect_ratio="16:9", resolution="720p").input["size"] == "1280*720"
    wire = {"fields": {"prompt": "prompt", "width": "width", "height": "height"}}
    sizes = {"480p": {"9:16": "480x832"}}
    assert asked(entry(wire, **options, sizes=sizes), aspect_ratio="9:16", resolution="480p").input == {
        "prompt": "a kite", "width": 480, "height": 832,
    }  # fmt: skip


def test_files_stand_alone_in_lists_or_in_objects() -> None:
    fields = {
        "prompt": "prompt",
        "input_image": {"name": "frames", "many": True},
        "last_frame": {"name": "frames", "many": True},
        "reference_image": {"name": "elements", "key": "image_url"},
        "reference_audio": {"name": "audio_url", "many": False},
    }
    inputs = {"input_image": 1, "last_frame": 1, "reference_image": 3, "reference_audio": 1}
    roles = (Role.LAST_FRAME, Role.INPUT_IMAGE, Role.REFERENCE_IMAGE, Role.REFERENCE_AUDIO)
    assert asked(entry({"fields": fields}, inputs=inputs), *roles).input == {
        "prompt": "a kite",
        "frames": ["inputs/input_image-1", "inputs/last_frame-0"],
        "elements": [{"image_url": "inputs/reference_image-2"}],
        "audio_url": "inputs/reference_audio-3",
    }


def test_what_a_video_is_for_may_be_said_beside_it() -> None:
    fields = {
        "prompt": "prompt",
        "video": {"name": "reference_video", "also": {"kind": "base"}},
        "reference_video": {"name": "reference_video", "many": False, "also": {"kind": "feature"}},
    }
    model = entry({"fields": fields}, inputs={"video": 1, "reference_video": 1})
    assert asked(model, Role.VIDEO).input["kind"] == "base"
    assert asked(model, Role.REFERENCE_VIDEO).input["kind"] == "feature"
    with pytest.raises(UnsupportedOption, match="cannot be combined"):
        asked(model, Role.VIDEO, Role.REFERENCE_VIDEO)


def test_the_first_call_that_takes_the_request_gets_it() -> None:
    wire = {
        "fields": {"prompt": "prompt", "input_image": "image", "video": "video"},
        "fixed": {"safe": True},
        "calls": [
            {"to": "acme/edit", "task": "edit"},
            {"to": "acme/extend", "inputs": ["video"], "fixed": {"safe": False}},
            {"to": "acme/image", "inputs": ["input_image"], "fields": {"input_image": "start"}},
        ],
    }
    model = entry(wire, inputs={"input_image": 1, "video": 1}, tasks={"edit": {}, "extend": {}})
    assert asked(model, Role.VIDEO, video_task=VideoTask.EDIT).to == "acme/edit"
    extended = asked(model, Role.VIDEO, video_task=VideoTask.EXTEND)
    assert (extended.to, extended.input["safe"]) == ("acme/extend", False)
    assert asked(model, Role.INPUT_IMAGE).input == {
        "prompt": "a kite", "safe": True, "start": "inputs/input_image-0"
    }  # fmt: skip
    with pytest.raises(UnsupportedOption, match="needs one of input_image, video"):
        asked(model)


def test_an_option_that_a_call_lacks_is_refused_and_never_dropped() -> None:
    wire = {
        "fields": {"prompt": "prompt", "aspect_ratio": "ratio", "input_image": "image"},
        "calls": [{"to": "acme/image", "inputs": ["input_image"], "fields": {"aspect_ratio": False}}, {"to": "acme"}],
    }
    model = entry(wire, aspect_ratios=["16:9", "9:16"], inputs={"input_image": 1})
    assert asked(model, aspect_ratio="9:16").input["ratio"] == "9:16"
    assert "ratio" not in asked(model, Role.INPUT_IMAGE).input
    with pytest.raises(UnsupportedOption, match="'acme/image' at fal has no aspect_ratio") as caught:
        asked(model, Role.INPUT_IMAGE, aspect_ratio="9:16")
    assert caught.value.field == "aspect_ratio"


def test_a_file_that_a_call_lacks_is_refused() -> None:
    wire = {
        "fields": {"prompt": "prompt", "input_image": "image"},
        "calls": [{"to": "acme", "fields": {"input_image": False}}, {"to": "never", "inputs": ["input_image"]}],
    }
    with pytest.raises(UnsupportedOption, match="'acme' at fal has no input_image"):
        asked(entry(wire, inputs={"input_image": 1}), Role.INPUT_IMAGE)


def test_the_providers_own_options_go_along_but_never_over_ours() -> None:
    wire = {
        "fields": {"prompt": "prompt", "seed": {"name": "seed", "also": {"mode": "fixed"}}},
        "fixed": {"safe": True},
    }
    model = entry(wire, seed=True)
    assert asked(model, additional_params={"style": None}).input == {"prompt": "a kite", "safe": True, "style": None}
    for name in ("prompt", "seed", "mode", "safe"):
        with pytest.raises(UnsupportedOption, match=f"'{name}' is set from") as caught:
            asked(model, additional_params={name: 1})
        assert caught.value.field == "additional_params"


def taken(model: Model) -> list[VideoRequest]:
    """A request for each set of files, up to three, and each task that the entry takes; no option is given."""
    found = []
    for count in range(4):
        for roles in combinations_with_replacement(model.inputs, count):
            for task in (None, *VideoTask):
                media = tuple(file(role, number) for number, role in enumerate(roles))
                request = VideoRequest("a kite", media=media, video_task=task)
                with suppress(UnsupportedOption):
                    complete(model, request, test=False)
                    found.append(request)
    return found


TAKEN = {(model.provider, model.id): taken(model) for model in SHIPPED}


@st.composite
def requests(draw: st.DrawFn, model: Model) -> VideoRequest:
    """A completed request with some options given."""
    bare = draw(st.sampled_from(TAKEN[model.provider, model.id]))
    some: dict[str, Any] = {"prompt": draw(st.sampled_from(["a kite", "a mole"]))}
    for option, (_, offer) in offers_of(model, bare, test=False).items():
        some[option] = draw(st.sampled_from([None, *offer.values]))
    some["seed"] = draw(st.sampled_from([None, 0, 7] if model.seed else [None]))
    some["negative_prompt"] = draw(st.sampled_from([None, "", "rain"] if model.negative_prompt else [None]))
    try:
        return complete(model, replace(bare, **some), test=False)
    except UnsupportedOption:
        # A rule for two options together.
        return complete(model, bare, test=False)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_requests_that_differ_are_asked_differently(data: st.DataObject) -> None:
    """So no option and no file is lost on the way, of any entry that we ship."""
    model = data.draw(st.sampled_from(SHIPPED))
    one, other = data.draw(requests(model)), data.draw(requests(model))
    assume(one != other)
    try:
        asks = ask(model, one), ask(model, other)
    except UnsupportedOption:
        return
    assert asks[0] != asks[1]


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_every_file_stands_in_an_ask_once_and_nothing_is_null(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(SHIPPED))
    request = data.draw(requests(model))
    try:
        sent = ask(model, request).input
    except UnsupportedOption:
        return
    assert None not in sent.values()
    said = [item for value in sent.values() for item in (value if isinstance(value, list) else [value])]
    files = [item for item in said if isinstance(item, str) and item.startswith("inputs/")]
    assert sorted(files) == sorted(item.key for item in request.media)
    assert ask(model, replace(request, additional_params={"own": 1})).input == {**sent, "own": 1}


@pytest.mark.parametrize("model", SHIPPED, ids=lambda model: f"{model.provider}/{model.id}")
def test_each_set_of_files_that_an_entry_takes_can_be_asked_for(model: Model) -> None:
    assert TAKEN[model.provider, model.id]
    for request in TAKEN[model.provider, model.id]:
        ask(model, complete(model, request, test=False))
