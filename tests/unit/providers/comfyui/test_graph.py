"""A workflow is read as ComfyUI's API takes it; what it would not run is refused with the reason and the remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rushes.providers.comfyui.graph import Place, WrongWorkflowError, graph_of, leading_to, place_named

GRAPH: dict[str, Any] = {
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["9", 0]}, "_meta": {"title": "Positive"}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "b", "clip": ["9", 0]}, "_meta": {"title": "Twin"}},
    "8": {"class_type": "CLIPTextEncode", "inputs": {"text": "c", "clip": ["9", 0]}, "_meta": {"title": "Twin"}},
    "9": {"class_type": "CLIPLoader", "inputs": {"clip_name": "umt5"}, "_meta": {"title": "Wan 2.2 loader"}},
    "128:89": {"class_type": "SaveVideo", "inputs": {"format.codec": "auto", "images": ["6", 0]}},
}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it has no nodes"),
        ("{}", "it has no nodes"),
        ('{"nodes": [], "links": []}', "Workflow > Export .API."),
        ('{"prompt": {"1": {"class_type": "A", "inputs": {}}}, "client_id": "x"}', "keep only what is under 'prompt'"),
        ('{"1": 3}', "node '1' is not an object with class_type and inputs"),
        ('{"1": {"class_type": "A"}}', "node '1' is not an object with class_type and inputs"),
        ('{"1": {"inputs": {}}}', "node '1' has no class_type.*install its extension"),
        ('{"1": {"class_type": "A", "inputs": {"x": ["2", 0]}}}', r"node '1' \(A\): input 'x' is linked to node '2'"),
    ],
)
def test_what_comfyui_would_not_run_is_refused(text: str, words: str) -> None:
    with pytest.raises(WrongWorkflowError, match=words) as caught:
        graph_of(text)
    assert caught.value.field == "workflow"


def test_a_workflow_in_api_format_is_read_as_it_is() -> None:
    assert graph_of(json.dumps(GRAPH)) == GRAPH


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("6.text", Place("6", "text")),
        ("Positive.text", Place("6", "text")),
        ("128:89.format.codec", Place("128:89", "format.codec")),
        ("Wan 2.2 loader.clip_name", Place("9", "clip_name")),
    ],
)
def test_a_place_is_named_by_id_or_title(written: str, place: Place) -> None:
    assert place_named(GRAPH, written, field="bind.prompt") == place


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("text", "'text' is not NODE.INPUT, such as '6.text'"),
        ("Twin.text", "2 nodes have the title 'Twin': '7', '8'; name the node by its id"),
        ("Positiv.text", "the workflow has no node 'Positiv'; did you mean 'Positive'?"),
        ("6.txt", "node '6' ('Positive', CLIPTextEncode) has no input 'txt'; its inputs are 'text', 'clip'"),
    ],
)
def test_a_place_that_is_not_there_is_refused_with_what_there_is(written: str, message: str) -> None:
    with pytest.raises(WrongWorkflowError) as caught:
        place_named(GRAPH, written, field="bind.prompt")
    assert (caught.value.field, caught.value.message) == ("bind.prompt", message)


def test_a_name_like_nothing_is_refused_with_the_nodes_there_are() -> None:
    with pytest.raises(WrongWorkflowError, match=r"it has '6 \(Positive\)', '7 \(Twin\)'"):
        place_named(GRAPH, "zzz.text", field="bind.prompt")


def test_what_runs_for_a_node_is_the_node_and_all_it_depends_on() -> None:
    assert set(leading_to(GRAPH, "128:89")) == {"128:89", "6", "9"}
