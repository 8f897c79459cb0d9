"""What a workflow offers follows from its bindings; what contradicts them is refused by its field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rushes.catalogue.model import Audio
from rushes.domain.request import Role
from rushes.providers.comfyui import Server
from tests.unit.providers.comfyui.models import WRITTEN, model_of, written_model

SERVER = Server("my-comfy", "http://127.0.0.1:8188", Path("/nowhere"))


def test_a_model_offers_what_is_bound() -> None:
    model, _ = model_of()
    assert (model.seed, model.negative_prompt, model.audio) == (True, True, Audio.NEVER)
    assert (model.inputs, model.required_inputs) == ({Role.INPUT_IMAGE: 1}, ())
    assert model.additional_params == ("cfg", "steps")
    assert (model.defaults.resolution, model.defaults.duration_s) == ("720p", 3)
    assert (model.can_cancel, model.reports_progress, model.concurrency) == (True, True, 2)
    assert [price.usd_per_s for price in model.prices] == [0]
    assert SERVER.unsayable(model) is None


def test_a_model_offers_nothing_that_is_not_bound() -> None:
    model = written_model(bind={"prompt": "6.text", "input_image": "1.image"}, durations_s=[], sizes={})
    assert (model.seed, model.negative_prompt, model.durations_s, model.resolutions) == (False, False, (), ())
    assert model.required_inputs == (Role.INPUT_IMAGE,)
    assert model.additional_params == ()
    assert SERVER.unsayable(model) is None


BIND = WRITTEN["bind"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed": True, "bind": {**BIND, "seed": None}}, "seed"),
        ({"negative_prompt": True, "bind": {**BIND, "negative_prompt": None}}, "negative_prompt"),
        ({"bind": {**BIND, "duration": None}}, "durations_s"),
        ({"durations_s": []}, "durations_s"),
        ({"sizes": {}}, "sizes"),
        ({"bind": {**BIND, "width": None}}, "resolutions"),
        ({"audio": "optional"}, "audio"),
        ({"inputs": {"input_image": 2}}, "inputs.input_image"),
        ({"inputs": {"last_frame": 1}}, "inputs.last_frame"),
        ({"required_inputs": [], "bind": {**BIND, "input_image": "1.image"}}, "required_inputs"),
        ({"n_per_call": 2}, "n_per_call"),
        ({"person_generation": ["allow_all"]}, "person_generation"),
        ({"sizes": {}, "resolutions": ["huge"], "aspect_ratios": ["16:9"]}, "resolutions"),
    ],
)
def test_an_entry_that_contradicts_its_bindings_is_refused(changes: dict[str, Any], field: str) -> None:
    found = SERVER.unsayable(written_model(**changes))
    assert found is not None
    assert found.field == field


def test_a_model_that_is_not_listed_any_more_has_an_entry_for_its_running_jobs() -> None:
    table = SERVER.unlisted("gone")
    assert (table["id"], table["can_cancel"]) == ("gone", True)
