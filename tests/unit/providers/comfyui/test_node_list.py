"""A workflow held against a server's nodes: every sentence names the model, the node, the input and what is allowed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rushes.providers.comfyui.node_list import classes_of, misfits
from tests.unit.providers.comfyui.models import model_of

WHOLE = ["INT", {"min": 0, "max": 2**64 - 1}]
KNOWN: dict[str, Any] = {
    "LoadImage": {"input": {"required": {"image": [["example.png"], {"image_upload": True}]}}},
    "KSampler": {
        "input": {
            "required": {
                "seed": WHOLE, "steps": WHOLE, "cfg": ["FLOAT", {"min": 0, "max": 100}], "positive": ["CONDITIONING"],
            }
        }
    },
    "WanImageToVideo": {
        "input": {
            "required": {name: ["INT", {"min": 16, "max": 16384}] for name in ("width", "height", "length")},
            "optional": {"start_image": ["IMAGE"]},
        }
    },
    "CLIPTextEncode": {"input": {"required": {"text": ["STRING", {}], "clip": ["CLIP"]}}},
    "CLIPLoader": {"input": {"required": {"clip_name": [["umt5", "t5xxl"]]}}},
    "SaveVideo": {
        "input": {
            "required": {
                "video": ["VIDEO"], "filename_prefix": ["STRING", {}],
                "format": ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "mp4"}]}],
            }
        },
        "output_node": True,
    },
}  # fmt: skip


def found(known: dict[str, Any]) -> tuple[str, ...]:
    model, workflow = model_of()
    return misfits(model, workflow, known)


def changed(node: str, name: str, spec: Any, group: str = "required") -> dict[str, Any]:
    known = copy.deepcopy(KNOWN)
    known[node]["input"].setdefault(group, {})[name] = spec
    return known


def test_a_server_with_all_of_it_runs_the_workflow() -> None:
    assert found(KNOWN) == ()
    assert set(classes_of(model_of()[1])) == set(KNOWN)


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        (
            {**KNOWN, "KSampler": None},
            "node '3' (KSampler) is not known to the server; install the extension that has it",
        ),
        (
            {**KNOWN, "SaveVideo": {**KNOWN["SaveVideo"], "output_node": False}},
            "output: node '80' (SaveVideo) is not an output node",
        ),
        (
            changed("CLIPLoader", "clip_name", [["t5xxl"]]),
            "node '9' (CLIPLoader), input 'clip_name': 'umt5' is not among what the server has: 't5xxl'",
        ),
        (
            changed("CLIPLoader", "clip_name", ["COMBO", {"options": []}]),
            "node '9' (CLIPLoader), input 'clip_name': 'umt5' is not among what the server has: nothing",
        ),
        (
            changed("WanImageToVideo", "length", ["INT", {"min": 1, "max": 49}]),
            "node '5' (WanImageToVideo), input 'length': 81 is more than 49, the most that the server's node takes",
        ),
        (
            changed("WanImageToVideo", "width", ["INT", {"min": 900, "max": 2000}]),
            "node '5' (WanImageToVideo), input 'width': 832 is less than 900, the least that the server's node takes",
        ),
        (
            changed("CLIPLoader", "type", [["wan"]]),
            "node '9' (CLIPLoader) lacks input 'type', which the server's node needs; export the workflow again there",
        ),
        (
            {**KNOWN, "LoadImage": {"input": {"required": {}}}},
            "node '1' ('Picture', LoadImage), input 'image' is bound, but the server's node has only no inputs",
        ),
    ],
)
def test_what_a_server_cannot_run_is_said_in_a_sentence(known: dict[str, Any], sentence: str) -> None:
    assert f"model 'wan': {sentence}" in found(known)


def test_lists_of_files_that_callers_upload_are_no_misfit() -> None:
    assert found(changed("LoadImage", "image", [[], {"image_upload": True}])) == ()


@pytest.mark.parametrize("info", [{}, {"input": []}, {"input": {"required": {"clip_name": "x"}}}])
def test_a_description_in_another_shape_is_no_misfit(info: dict[str, Any]) -> None:
    assert found({**KNOWN, "CLIPLoader": info}) == ()
