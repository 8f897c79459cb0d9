"""A request in the words of `predictLongRunning`: pure functions, tested without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Final

from rushes.domain.request import InputMedia, Json, Role, VideoRequest
from rushes.errors import ProviderRejected
from rushes.providers.body import Inline
from rushes.providers.google.payload import add_params

Media = Sequence[tuple[InputMedia, Inline]]

SINGLE: Final[Mapping[Role, str]] = {Role.INPUT_IMAGE: "image", Role.LAST_FRAME: "lastFrame", Role.VIDEO: "video"}
AT_THE_TOP: Final = ("labels",)
"""Names in additional_params that stand beside `parameters`, not in it."""


def prediction(request: VideoRequest, media: Media, *, folder: str | None = None) -> dict[str, object]:
    """The body that asks for `request.n` videos, delivered into `folder` (`gs://`) or else inside the reply.

    Raises ProviderRejected for media it has no words for, and for `additional_params` that contradict the rest.
    """
    parameters: dict[str, Json] = {"sampleCount": request.n}
    given: dict[str, Json] = {
        "durationSeconds": request.duration_s,
        "aspectRatio": request.aspect_ratio,
        "resolution": request.resolution,
        "generateAudio": request.generate_audio,
        "negativePrompt": request.negative_prompt,
        "personGeneration": request.person_generation,
        "seed": request.seed,
        "storageUri": folder,
    }
    parameters |= {name: value for name, value in given.items() if value is not None}
    # Copied, because what is merged in later must not reach the request that others hold.
    params = deepcopy(dict(request.additional_params))
    beside = {name: params.pop(name) for name in AT_THE_TOP if name in params}
    add_params(parameters, params)
    return {"instances": [_instance(request.prompt, media)], "parameters": parameters, **beside}


def _instance(prompt: str, media: Media) -> dict[str, object]:
    instance: dict[str, object] = {"prompt": prompt}
    references: list[dict[str, object]] = []
    for item, content in media:
        file = {"bytesBase64Encoded": content, "mimeType": item.content_type}
        if item.role is Role.REFERENCE_IMAGE:
            # Veo 3.1 knows only this type; references for a style went with Veo 2.
            references.append({"image": file, "referenceType": "asset"})
        elif SINGLE[item.role] in instance:
            raise ProviderRejected(f"{item.role} can be said to Veo only once", provider_error="too many files")
        else:
            instance[SINGLE[item.role]] = file
    if references:
        instance["referenceImages"] = references
    return instance
