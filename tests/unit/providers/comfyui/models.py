"""A small workflow with every kind of binding, and its model."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

from rushes.catalogue.load import ProviderEntry, models_of
from rushes.catalogue.model import Model
from rushes.providers.comfyui.binding import Workflow
from rushes.providers.comfyui.entry import table_of, workflow_in

GRAPH: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}, "_meta": {"title": "Picture"}},
    "2": {"class_type": "LoadImage", "inputs": {"image": "other.png"}},
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 1, "steps": 20, "cfg": 3.5, "positive": ["6", 0], "negative": ["7", 0], "latent": ["5", 0]},
    },
    "5": {
        "class_type": "WanImageToVideo",
        "inputs": {"width": 640, "height": 640, "length": 81, "start_image": ["1", 0]},
    },
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["9", 0]}, "_meta": {"title": "Positive"}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "b", "clip": ["9", 0]}},
    "9": {"class_type": "CLIPLoader", "inputs": {"clip_name": "umt5"}},
    "80": {"class_type": "SaveVideo", "inputs": {"video": ["3", 0], "filename_prefix": "ComfyUI", "format": "auto"}},
}
WRITTEN: dict[str, Any] = {
    "id": "wan",
    "durations_s": [3, 5],
    "sizes": {"480p": {"16:9": "832x480"}, "720p": {"16:9": "1280x720"}},
    "bind": {
        "prompt": "6.text",
        "negative_prompt": "7.text",
        "seed": "3.seed",
        "width": "5.width",
        "height": "5.height",
        "duration": {"at": "5.length", "times": 16, "multiple": 4, "plus": 1},
        "input_image": {"at": "1.image", "unlink": "5.start_image"},
        "params": {"cfg": "3.cfg", "steps": "3.steps"},
    },
}
ENTRY = ProviderEntry(provider="my-comfy", name="my-comfy", source="a test", checked=date(2026, 11, 30))


def written_model(graph: dict[str, Any] = GRAPH, **changes: Any) -> Model:
    """The model of a workflow with what is written for it."""
    return models_of("a test", ENTRY, [table_of(graph, {**WRITTEN, **changes})])[0]


@cache
def model_of() -> tuple[Model, Workflow]:
    """The model and its workflow."""
    model = written_model()
    workflow = workflow_in(model)
    assert workflow is not None
    return model, workflow
