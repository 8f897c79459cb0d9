"""How the dialects of `/v1/videos` differ, as data.

openai 3.54.0 (the SDK; OpenAI's own service ended on 2026-09-24), vllm_omni 0.30.0, sglang 0.5.23; checked 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from rushes.domain.request import Role
from rushes.providers.own_server import OWN_GPU


@dataclass(frozen=True, slots=True)
class Flavor:
    """One dialect. A field name that is None means: there is no word for it."""

    name: str
    sound_field: str | None = None
    outputs_field: str | None = None
    """How several videos are asked of one call. `variant`, their index, then says which is which."""
    references_field: str | None = None
    """Takes several files."""
    frames_field: str | None = None
    """Takes the first and the last frame together, as JSON in a string."""
    video_field: str | None = None
    video_as: Literal["file", "json"] = "file"
    real_progress: bool = True
    """Whether its `progress` is more than 0 until it is 100."""
    delete_aborts: bool = False
    """Whether DELETE stops a running generation. Elsewhere it is refused, or forgets the record of one that runs on."""
    own_names: tuple[str, ...] = ()
    """Form fields that the adapter sets, or that reach for the server's disk: not for additional_params."""
    model_defaults: Mapping[str, Any] = field(default_factory=dict)
    """What a model is taken to offer where its entry does not say."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """The inputs that can be said."""
        sayable = {
            Role.INPUT_IMAGE: "input_reference",
            Role.LAST_FRAME: self.frames_field,
            Role.REFERENCE_IMAGE: self.references_field,
            Role.VIDEO: self.video_field,
        }
        return tuple(role for role, name in sayable.items() if name is not None)


OWN_NAMES: Final = ("prompt", "model", "seconds", "size", "input_reference", "seed", "negative_prompt")

OPENAI: Final = Flavor(
    name="openai",
    own_names=OWN_NAMES,
    model_defaults=MappingProxyType({"inputs": {"input_image": 1}, "deadline_s": 3600}),
)

VLLM_OMNI: Final = Flavor(
    name="vllm-omni",
    sound_field="generate_sound",
    # `num_outputs_per_prompt` would be drawn and paid for, but only the first video can be fetched.
    outputs_field=None,
    references_field="input_references",
    frames_field="image_reference",
    video_field="video_reference",
    video_as="json",
    real_progress=False,
    delete_aborts=True,
    own_names=(
        *OWN_NAMES, "num_outputs_per_prompt", "generate_sound", "width", "height", "num_frames", "aspect_ratio",
        "short_edge", "video_params", "input_references", "image_reference", "video_reference",
        "lora", "frame_interpolation_model_path",
    ),
    model_defaults=MappingProxyType({
        **OWN_GPU,
        "inputs": {"input_image": 1, "last_frame": 1, "reference_image": 4},
        "can_cancel": True,
    }),
)  # fmt: skip

SGLANG: Final = Flavor(
    name="sglang",
    outputs_field="num_outputs_per_prompt",
    video_field="video_reference",
    own_names=(
        *OWN_NAMES, "n", "num_outputs_per_prompt", "width", "height", "num_frames", "reference_url", "video_url",
        "video_path", "video_reference", "extra_body", "extra_json", "extra_params", "output_path", "diffusers_kwargs",
        "frame_interpolation_model_path", "upscaling_model_path", "perf_dump_path", "profile",
    ),
    model_defaults=MappingProxyType({
        **OWN_GPU,
        "inputs": {"input_image": 1, "video": 1},
        "reports_progress": True,
    }),
)  # fmt: skip

FLAVORS: Final[Mapping[str, Flavor]] = MappingProxyType({flavor.name: flavor for flavor in (OPENAI, VLLM_OMNI, SGLANG)})
