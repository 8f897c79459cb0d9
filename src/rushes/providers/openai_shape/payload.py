"""A request as the form that `POST /v1/videos` takes: pure functions, tested without a network.

Always a form, never JSON: OpenAI's own client sends nothing else, and vLLM-Omni reads nothing else.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator, Sequence

from rushes.catalogue.model import Audio, Model
from rushes.catalogue.size import pixels
from rushes.domain.request import InputMedia, Json, Role, VideoRequest
from rushes.errors import ProviderRejected
from rushes.providers.body import Inline, JsonBody
from rushes.providers.form import Part
from rushes.providers.openai_shape.flavor import Flavor
from rushes.providers.translation import data_uri

Media = Sequence[tuple[InputMedia, bytes]]


def form(model: Model, request: VideoRequest, media: Media, flavor: Flavor) -> list[Part]:
    """The parts of the form for `request.n` videos.

    Raises ProviderRejected for what this flavor has no words for, and for `additional_params` that contradict the rest.
    """
    _refuse_unsayable(model, request, flavor)
    parts = [*_fields(model, request, flavor), *_files(media, flavor)]
    return [*parts, *_additional(request, parts)]


def _fields(model: Model, request: VideoRequest, flavor: Flavor) -> Iterator[Part]:
    yield Part("prompt", request.prompt)
    yield Part("model", model.upstream_id(None))
    if request.duration_s is not None:
        yield Part("seconds", str(request.duration_s))
    if request.resolution is not None and request.aspect_ratio is not None:
        yield Part("size", _size(model, request.resolution, request.aspect_ratio))
    if request.negative_prompt is not None:
        yield Part("negative_prompt", request.negative_prompt)
    if request.seed is not None:
        yield Part("seed", str(request.seed))
    if flavor.sound_field is not None and request.generate_audio is not None and model.audio is Audio.OPTIONAL:
        yield Part(flavor.sound_field, _text(request.generate_audio))
    if flavor.outputs_field is not None and request.n > 1:
        yield Part(flavor.outputs_field, str(request.n))


def _files(media: Media, flavor: Flavor) -> Iterator[Part]:
    by_role = {role: [(item, content) for item, content in media if item.role is role] for role in Role}
    frames = [*by_role[Role.INPUT_IMAGE], *by_role[Role.LAST_FRAME]]
    if by_role[Role.LAST_FRAME]:
        # vLLM-Omni refuses `input_reference` beside a JSON reference, so both frames go here.
        assert flavor.frames_field is not None
        yield Part(flavor.frames_field, JsonBody([{"image_url": _data_url(*frame)} for frame in frames]))
    else:
        yield from (_file("input_reference", *frame) for frame in frames)
    for reference in by_role[Role.REFERENCE_IMAGE]:
        # As files, because a web framework may read no more than 1 MiB of a field that is not a file.
        assert flavor.references_field is not None
        yield _file(flavor.references_field, *reference)
    for video in by_role[Role.VIDEO]:
        assert flavor.video_field is not None
        if flavor.video_as == "json":
            yield Part(flavor.video_field, JsonBody({"video_url": _data_url(*video)}))
        else:
            yield _file(flavor.video_field, *video)


def _refuse_unsayable(model: Model, request: VideoRequest, flavor: Flavor) -> None:
    # What a model does not offer is refused when a job is created, and what its entry must not offer when the service
    # starts. This is for both being wrong: what cannot be said is never dropped in silence.
    fixed_sound = {Audio.ALWAYS: True, Audio.NEVER: False}.get(model.audio)
    given = {item.role for item in request.media}
    wrong = {
        "n": request.n > 1 and flavor.outputs_field is None,
        "person_generation": request.person_generation is not None,
        "generate_audio": request.generate_audio is not None
        and request.generate_audio is not fixed_sound
        and (fixed_sound is not None or flavor.sound_field is None),
        "aspect_ratio": request.aspect_ratio is not None and request.resolution is None,
        "resolution": request.resolution is not None and request.aspect_ratio is None,
        "reference_image": Role.REFERENCE_IMAGE in given and len(given) > 1,
        "video": Role.VIDEO in given and len(given) > 1,
        "last_frame": Role.LAST_FRAME in given and Role.INPUT_IMAGE not in given,
        **{role.value: True for role in given if role not in flavor.roles},
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise ProviderRejected(
                f"{field} cannot be said (like this) to a server of flavor '{flavor.name}' for '{model.id}'"
            )


def _size(model: Model, resolution: str, aspect_ratio: str) -> str:
    size = model.sizes.get(resolution, {}).get(aspect_ratio) or pixels(resolution, aspect_ratio)
    if size is None:
        raise ProviderRejected(f"resolution '{resolution}' at aspect_ratio '{aspect_ratio}' is no size in pixels")
    return size


def _additional(request: VideoRequest, parts: Sequence[Part]) -> Iterator[Part]:
    said = {part.name: part.content for part in parts}
    for name, value in request.additional_params.items():
        if value is None:
            raise ProviderRejected(f"additional_params '{name}' is null, which a form cannot say; leave it out")
        text = _text(value)
        if name not in said:
            yield Part(name, text)
        elif said[name] != text:
            raise ProviderRejected(
                f"additional_params '{name}' contradicts what the request's own fields say; use those fields"
            )


def _text(value: Json) -> str:
    """A value as a form has it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _file(name: str, item: InputMedia, content: bytes) -> Part:
    extension = mimetypes.guess_extension(item.content_type) or ""
    return Part(name, content, file_name=f"{item.role}{extension}", content_type=item.content_type)


def _data_url(item: InputMedia, content: bytes) -> Inline:
    return data_uri(item, content)
