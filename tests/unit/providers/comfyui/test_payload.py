"""A request as a filled workflow; the workflow itself is never changed."""

from __future__ import annotations

import copy
import uuid

import pytest

from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.errors import UnsupportedOption
from rushes.providers.comfyui.entry import workflow_in
from rushes.providers.comfyui.payload import file_name_of, filled, prompt_id_of
from tests.unit.providers.comfyui.models import GRAPH, model_of, written_model

PROMPT_ID = prompt_id_of("att_1")


def test_a_prompt_id_is_a_canonical_uuid_of_the_attempt() -> None:
    assert str(uuid.UUID(PROMPT_ID)) == PROMPT_ID == prompt_id_of("att_1") != prompt_id_of("att_2")


def test_the_files_names_go_to_their_places_and_the_link_stays() -> None:
    model, workflow = model_of()
    before = copy.deepcopy(GRAPH)
    graph = filled(workflow, model, VideoRequest("a kite"), {Role.INPUT_IMAGE: ["a.png [temp]"]}, prompt_id=PROMPT_ID)
    assert graph["1"]["inputs"]["image"] == "a.png [temp]"
    assert graph["5"]["inputs"]["start_image"] == ["1", 0]
    assert before == GRAPH


def test_a_value_may_go_to_several_places_and_files_one_by_one() -> None:
    bind = {
        "prompt": ["6.text", "7.text"],
        "reference_image": ["1.image", {"at": "2.image", "unlink": "5.start_image"}],
    }
    model = written_model(bind=bind, durations_s=[], sizes={})
    workflow = workflow_in(model)
    assert workflow is not None
    files = {Role.REFERENCE_IMAGE: ["a.png", "b.png"]}
    graph = filled(workflow, model, VideoRequest("a kite"), files, prompt_id=PROMPT_ID)
    assert [graph[node]["inputs"]["text"] for node in ("6", "7")] == ["a kite", "a kite"]
    assert [graph[node]["inputs"]["image"] for node in ("1", "2")] == ["a.png", "b.png"]
    with pytest.raises(UnsupportedOption, match="reference_image is missing"):
        filled(workflow, model, VideoRequest("a kite"), {}, prompt_id=PROMPT_ID)


@pytest.mark.parametrize("given", [["6", 0], {"a": 1}, None])
def test_an_additional_param_that_could_be_a_link_is_refused(given: object) -> None:
    model, workflow = model_of()
    with pytest.raises(UnsupportedOption, match="'cfg' must be a text, a number, true or false"):
        filled(workflow, model, VideoRequest("x", additional_params={"cfg": given}), {}, prompt_id=PROMPT_ID)


def test_a_file_is_named_for_its_role_and_kind() -> None:
    item = InputMedia(Role.REFERENCE_AUDIO, "inputs/a", "audio/mpeg", 1, "00")
    assert file_name_of(item, 1) == "reference_audio-1.mp3"
