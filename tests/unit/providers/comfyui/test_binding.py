"""Bindings are data: each is checked against the workflow, and conversions give the numbers that models want."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.domain.request import VideoRequest
from rushes.providers.comfyui.binding import Number, workflow_of
from rushes.providers.comfyui.entry import table_of
from rushes.providers.comfyui.graph import WrongWorkflowError, is_link
from rushes.providers.comfyui.payload import filled, prompt_id_of
from tests.unit.providers.comfyui.models import GRAPH, model_of


@pytest.mark.parametrize(
    ("bind", "field", "words"),
    [
        (None, "bind.prompt", "it is missing"),
        ({"seed": "3.seed"}, "bind.prompt", "it is missing"),
        ({"prompt": "66.text"}, "bind.prompt", "the workflow has no node '66'"),
        (
            {"prompt": "6.clip"},
            "bind.prompt",
            "input 'clip' of node '6' .* is a link from node '9' .* rather than a value",
        ),
        ({"prompt": 3}, "bind.prompt", "valid dictionary"),
        ({"prompt": "6.text", "promt": "6.text"}, "bind.promt", "it cannot be bound; did you mean 'prompt'?"),
        (
            {"prompt": "6.text", "seed": {"at": "3.seed", "fps": 2}},
            "bind.seed.fps",
            "it cannot be bound; there are 'at'",
        ),
        ({"prompt": "6.text", "seed": []}, "bind.seed", "it names no place"),
        ({"prompt": "6.text", "seed": "6.text"}, "bind.seed", "'6.text' is bound to prompt already"),
        ({"prompt": "6.text", "params": {"cfg": "3.cgf"}}, "bind.params.cfg", "has no input 'cgf'"),
        ({"prompt": "6.text", "duration": {"at": "5.length", "times": 0}}, "bind.duration.times", "greater than 0"),
        ({"prompt": "6.text", "duration": {"at": "5.length", "multiple": 0}}, "bind.duration.multiple", "greater than"),
        (
            {"prompt": "6.text", "input_image": {"at": "1.image", "unlink": "5.width"}},
            "bind.input_image.unlink",
            "input 'width' of node '5' .* is a value rather than a link",
        ),
        (
            {"prompt": "6.text", "reference_image": [{"at": "1.image", "unlink": "5.start_image"}, "2.image"]},
            "bind.reference_image",
            "a file that may be left out comes after",
        ),
    ],
)
def test_a_binding_that_cannot_be_meant_is_refused(bind: Any, field: str, words: str) -> None:
    with pytest.raises(WrongWorkflowError, match=words) as caught:
        workflow_of(GRAPH, bind, None)
    assert caught.value.field == field


def test_a_link_may_be_replaced_if_the_binding_says_so() -> None:
    workflow = workflow_of(GRAPH, {"prompt": {"at": "6.clip", "replaces_link": True}}, None)
    assert [str(place) for place in workflow.places(workflow.bind.prompt)] == ["6.clip"]


@pytest.mark.parametrize(
    ("graph", "output", "words"),
    [
        (GRAPH, "99", "has no node '99'"),
        ({"6": GRAPH["6"], "9": GRAPH["9"]}, None, "no node of the workflow is one of 'SaveVideo'"),
        ({**GRAPH, "81": GRAPH["80"]}, None, "'80', '81' save a video each"),
    ],
)
def test_the_output_node_is_found_or_asked_for(graph: dict[str, Any], output: str | None, words: str) -> None:
    with pytest.raises(WrongWorkflowError, match=words) as caught:
        workflow_of(graph, {"prompt": "6.text"}, output)
    assert caught.value.field == "output"


def test_the_nodes_whose_steps_count_are_the_samplers_unless_they_are_named() -> None:
    assert workflow_of(GRAPH, {"prompt": "6.text"}, None).steps == ("3",)
    assert workflow_of(GRAPH, {"prompt": "6.text"}, None, ["Positive", "80"]).steps == ("6", "80")
    with pytest.raises(WrongWorkflowError, match="has no node 'x'"):
        workflow_of(GRAPH, {"prompt": "6.text"}, None, "x")


@pytest.mark.parametrize(
    ("written", "given", "wanted"),
    [
        ({"times": 16, "multiple": 4, "plus": 1}, 5, 81),
        ({"times": 24, "multiple": 8, "plus": 1}, 5, 121),
        ({"times": 25, "multiple": 8, "plus": 1}, 5, 129),
        ({}, 5, 5),
        ({"times": 0.125}, 1280, 160),
        ({"multiple": 0.5, "plus": 0.25}, 3, 3.25),
    ],
)
def test_a_number_is_converted_as_the_binding_says(written: dict[str, Any], given: int, wanted: float) -> None:
    found = Number.model_validate({"at": "5.length", **written}).of(given)
    assert found == wanted
    assert type(found) is type(wanted)


@given(
    seconds=st.integers(1, 600),
    times=st.floats(0.01, 240),
    multiple=st.integers(1, 64),
    plus=st.integers(-8, 64),
)
def test_a_conversion_is_a_multiple_and_a_rest_and_never_off_by_more_than_half(
    seconds: int, times: float, multiple: int, plus: int
) -> None:
    found = Number(at=("5.length",), times=times, multiple=multiple, plus=plus).of(seconds)
    assert isinstance(found, int)
    assert (found - plus) % multiple == 0
    assert abs(found - plus - seconds * times) <= multiple / 2 + 1e-6


TEXT = st.text(string.printable, max_size=40)


@given(
    prompt=TEXT,
    negative=st.none() | TEXT,
    seed=st.none() | st.integers(0, 2**32 - 1),
    duration_s=st.sampled_from([3, 5]),
    resolution=st.sampled_from(["480p", "720p"]),
    params=st.fixed_dictionaries({}, optional={"cfg": st.floats(0, 10), "steps": st.integers(1, 50)}),
)
def test_every_option_is_in_its_place_and_nothing_else_is_changed(
    prompt: str, negative: str | None, seed: int | None, duration_s: int, resolution: str, params: dict[str, Any]
) -> None:
    model, workflow = model_of()
    request = VideoRequest(
        prompt,
        negative_prompt=negative,
        seed=seed,
        duration_s=duration_s,
        resolution=resolution,
        aspect_ratio="16:9",
        additional_params=params,
    )
    found = filled(workflow, model, request, {}, prompt_id=prompt_id_of("att_1"))
    expected = {
        ("6", "text"): prompt,
        ("7", "text"): GRAPH["7"]["inputs"]["text"] if negative is None else negative,
        ("5", "length"): duration_s * 16 + 1,
        ("5", "width"): {"480p": 832, "720p": 1280}[resolution],
        ("5", "height"): {"480p": 480, "720p": 720}[resolution],
        ("3", "cfg"): params.get("cfg", GRAPH["3"]["inputs"]["cfg"]),
        ("3", "steps"): params.get("steps", GRAPH["3"]["inputs"]["steps"]),
        ("80", "filename_prefix"): f"rushes/{prompt_id_of('att_1')}",
    }
    for node_id, node in GRAPH.items():
        for name, held in node["inputs"].items():
            if (node_id, name) == ("3", "seed"):
                assert found[node_id]["inputs"][name] == seed if seed is not None else 0 <= seed_of(found) < 2**32
            elif (node_id, name) == ("5", "start_image"):
                assert name not in found[node_id]["inputs"]
            else:
                assert found[node_id]["inputs"][name] == expected.get((node_id, name), held)


@given(node=st.sampled_from(sorted(GRAPH)), name=TEXT | st.sampled_from(["text", "clip", "seed", "image"]))
def test_a_place_is_either_bound_or_refused_by_name(node: str, name: str) -> None:
    held = GRAPH[node]["inputs"].get(name)
    bind = {"prompt": f"{node}.{name}"}
    if held is None or is_link(held):
        with pytest.raises(WrongWorkflowError) as caught:
            workflow_of(GRAPH, bind, None)
        assert caught.value.field == "bind.prompt"
    else:
        workflow = workflow_of(GRAPH, bind, None)
        assert [str(place) for place in workflow.places(workflow.bind.prompt)] == [f"{node}.{name}"]


def test_a_video_needs_its_task_said() -> None:
    bind = {"prompt": "6.text", "video": "1.image"}
    with pytest.raises(WrongWorkflowError, match="say what is done to the video") as caught:
        table_of(GRAPH, {"id": "x", "bind": bind})
    assert caught.value.field == "tasks"


def seed_of(graph: dict[str, Any]) -> int:
    seed = graph["3"]["inputs"]["seed"]
    assert isinstance(seed, int)
    return seed
