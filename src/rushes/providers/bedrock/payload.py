"""A request in the words of StartAsyncInvoke and of Luma Ray2: pure functions, tested without a network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from copy import deepcopy
from typing import Final

from rushes.domain.request import InputMedia, Json, Role, VideoRequest
from rushes.errors import ProviderRejected

KEYFRAMES: Final = {Role.INPUT_IMAGE: "frame0", Role.LAST_FRAME: "frame1"}
IMAGE_TYPES: Final = ("image/png", "image/jpeg")
FOLDER: Final = "rushes"
"""Where in the bucket Bedrock makes a folder for each invocation."""


def frames_of(request: VideoRequest) -> dict[str, InputMedia]:
    """The input images by the keyframe each one is.

    Raises ProviderRejected, naming the field, for whatever else in the request Ray2 has no words for.
    """
    # The catalogue offers none of these, so that they are refused when a job is created. This is for a catalogue
    # that is wrong: what cannot be said is never dropped in silence.
    unsayable = {
        "n": request.n != 1,
        "seed": request.seed is not None,
        "negative_prompt": request.negative_prompt is not None,
        "generate_audio": request.generate_audio is True,
        "person_generation": request.person_generation is not None,
        "reference_image": bool(request.media_for(Role.REFERENCE_IMAGE)),
        "video": bool(request.media_for(Role.VIDEO)),
    }
    for field, is_given in unsayable.items():
        if is_given:
            raise ProviderRejected(
                f"{field} cannot be said to Luma Ray2 on Bedrock; it makes one silent video a call, "
                "from a prompt and at most a first and a last frame"
            )
    frames: dict[str, InputMedia] = {}
    for item in request.media:
        frame = KEYFRAMES[item.role]
        if frame in frames:
            raise ProviderRejected(f"{item.role} can be given once to Luma Ray2")
        if item.content_type not in IMAGE_TYPES:
            raise ProviderRejected(f"{item.role} is '{item.content_type}'; Luma Ray2 takes PNG and JPEG")
        frames[frame] = item
    return dict(sorted(frames.items()))


def invocation(
    model_id: str,
    request: VideoRequest,
    images: Mapping[str, tuple[InputMedia, bytes]],
    *,
    attempt_id: str,
    bucket: str,
) -> dict[str, object]:
    """The arguments of StartAsyncInvoke for one video, `images` being the bytes of `frames_of`.

    The same attempt always gives the same arguments, because Bedrock refuses its token with others. Raises
    ProviderRejected for `additional_params` that contradict the rest.
    """
    model_input: dict[str, Json] = {"prompt": request.prompt}
    if request.aspect_ratio is not None:
        model_input["aspect_ratio"] = request.aspect_ratio
    if request.duration_s is not None:
        model_input["duration"] = f"{request.duration_s}s"
    if request.resolution is not None:
        model_input["resolution"] = request.resolution
    if images:
        model_input["keyframes"] = {
            frame: {
                "type": "image",
                "source": {
                    "type": "base64",
                    "media_type": item.content_type,
                    "data": base64.b64encode(content).decode(),
                },
            }
            for frame, (item, content) in images.items()
        }
    for name, value in request.additional_params.items():
        if name in model_input and model_input[name] != value:
            raise ProviderRejected(
                f"additional_params '{name}' contradicts what the request's own fields say; use those fields"
            )
        model_input[name] = deepcopy(value)
    return {
        "clientRequestToken": attempt_id,
        "modelId": model_id,
        "modelInput": model_input,
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{bucket}/{FOLDER}"}},
    }
