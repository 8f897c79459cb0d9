"""A request in the words of the Interactions API: pure functions, tested without a network.

Images have no roles on the wire. They stand before the prompt, and tags in the prompt say what each one is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Final

from rushes.domain.request import InputMedia, Json, Role, VideoRequest, VideoTask
from rushes.errors import ProviderRejected
from rushes.providers.body import Inline

Media = Sequence[tuple[InputMedia, Inline]]

AS_LINK: Final[Mapping[str, Json]] = {"delivery": "uri"}


def interaction(
    model_id: str,
    request: VideoRequest,
    media: Media,
    *,
    delivery: Mapping[str, Json] = AS_LINK,
) -> dict[str, object]:
    """The body of `POST /v1beta/interactions` for one video; `media` is in the order input, last, references, video.

    Raises ProviderRejected for what Gemini has no words for, and for `additional_params` that contradict the rest.
    """
    _refuse_unsayable(request)
    roles = [item.role for item, _ in media]
    blocks: list[dict[str, object]] = [
        {"type": item.content_type.split("/")[0], "data": content, "mime_type": item.content_type}
        for item, content in media
    ]
    video_format: dict[str, Json] = {"type": "video", **delivery}
    if request.aspect_ratio is not None:
        video_format["aspect_ratio"] = request.aspect_ratio
    if request.resolution is not None:
        video_format["resolution"] = request.resolution
    if request.duration_s is not None:
        # A protobuf Duration; a bare number is HTTP 400.
        video_format["duration"] = f"{request.duration_s}s"
    document: dict[str, Json] = {
        "model": model_id,
        "input": [*blocks, {"type": "text", "text": tagged(request.prompt, roles)}],
        "background": True,
        "response_format": video_format,
    }
    if request.seed is not None:
        document["generation_config"] = {"seed": request.seed}
    # Copied, because what is merged in later must not reach the request that others hold.
    add_params(document, deepcopy(dict(request.additional_params)))
    _add_task(document, task_for(roles, request.video_task))
    return document


def tagged(prompt: str, roles: Sequence[Role]) -> str:
    """The prompt with the tags that tell Omni what each image or clip is for; those that the caller wrote stay."""
    sources = {Role.INPUT_IMAGE: "<FIRST_FRAME>", Role.LAST_FRAME: "<LAST_FRAME>"}
    frames = [sources[role] for role in roles if role in sources]
    references = [f"<IMAGE_REF_{index}>" for index in range(roles.count(Role.REFERENCE_IMAGE))]
    clips = [f"<VIDEO_REF_{index}>" for index in range(roles.count(Role.REFERENCE_VIDEO))]
    clips_missing = [tag for tag in clips if tag not in prompt]
    if clips_missing:
        prompt = " ".join([*clips_missing, prompt])
    tags = frames + references
    missing = [tag for tag in tags if tag not in prompt]
    if frames and references and missing == tags:
        named = [f"{tag}@Image{number}" for number, tag in enumerate(tags, start=1)]
        first, rest = " ".join(named[: len(frames)]), " ".join(named[len(frames) :])
        return f"[# Sources {first}] [# References {rest}] {prompt}"
    return " ".join([*missing, prompt])


def task_for(roles: Sequence[Role], video_task: VideoTask | None = None) -> str | None:
    """Omni's name for what is to be done with these inputs; None for a mixture it has no name for, and infers."""
    frames = Role.INPUT_IMAGE in roles or Role.LAST_FRAME in roles
    references = Role.REFERENCE_IMAGE in roles or Role.REFERENCE_VIDEO in roles
    if Role.VIDEO in roles:
        return (video_task or VideoTask.EXTEND).value
    if frames and references:
        return None
    if frames:
        return "image_to_video"
    if references:
        return "reference_to_video"
    return "text_to_video"


def _refuse_unsayable(request: VideoRequest) -> None:
    # The catalogue offers none of these, so that they are refused when a job is created. This is for a catalogue
    # that is wrong: what cannot be said is never dropped in silence.
    unsayable = {
        "n": request.n != 1,
        "negative_prompt": request.negative_prompt is not None,
        "generate_audio": request.generate_audio is False,
        "person_generation": request.person_generation is not None,
    }
    for field, is_given in unsayable.items():
        if is_given:
            raise ProviderRejected(
                f"{field} cannot be said to Gemini Omni; it makes one video a call, always with sound, "
                "and takes neither negative_prompt nor person_generation"
            )
    for name, breaking in (("store", False), ("stream", True)):
        if request.additional_params.get(name) is breaking:
            raise ProviderRejected(
                f"additional_params '{name}' must not be {str(breaking).lower()}: the job would be lost"
            )


def add_params(document: dict[str, Json], params: Mapping[str, Json], path: str = "") -> None:
    """Merge the caller's own params in, object by object. Raises ProviderRejected where they contradict the rest."""
    for name, value in params.items():
        if name not in document:
            document[name] = value
        elif isinstance(document[name], dict) and isinstance(value, dict):
            add_params(document[name], value, f"{path}{name}.")
        elif document[name] != value:
            raise ProviderRejected(
                f"additional_params '{path}{name}' contradicts what the request's own fields say; use those fields"
            )


def _add_task(document: dict[str, Json], task: str | None) -> None:
    # What the caller says about the task goes.
    config = document.setdefault("generation_config", {})
    video_config = config.setdefault("video_config", {}) if isinstance(config, dict) else None
    if not isinstance(video_config, dict):
        raise ProviderRejected("additional_params 'generation_config' and its 'video_config' must be objects")
    if task is not None and "previous_interaction_id" not in document:
        video_config.setdefault("task", task)
    if not video_config:
        del config["video_config"]
    if not config:
        del document["generation_config"]
