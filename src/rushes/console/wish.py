"""What the playground's form asks for: from fields to the body of a generation, and what a model offers for each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rushes.catalogue.choose import choose
from rushes.catalogue.load import Catalogue
from rushes.catalogue.model import Audio, Model
from rushes.catalogue.wording import shown
from rushes.console.visit import Form
from rushes.domain.request import Role
from rushes.errors import FieldError, InvalidRequest

MOST_MODELS = 4
TEXTS = (
    "prompt",
    "aspect_ratio",
    "resolution",
    "negative_prompt",
    "person_generation",
    "webhook_url",
    "user",
    "previous_job_id",
)
NUMBERS = ("duration", "n", "seed", "previous_index")
REFERENCES = (Role.REFERENCE_IMAGE, Role.REFERENCE_VIDEO, Role.REFERENCE_AUDIO)
"""Roles of which a body takes several, in a list."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One model of a form with the body that it is sent. `notes` say where the body had to differ from the form."""

    model: Model
    body: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The model as `provider/id`."""
        return full_id(self.model)


def full_id(model: Model) -> str:
    """The name that means this model wherever one is named."""
    return f"{model.provider}/{model.id}"


def models_of(catalogue: Catalogue, form: Form) -> Sequence[Model]:
    """The model of a form and those beside it, each once; the default model if none is named. Raises ModelNotFound."""
    found: list[Model] = []
    for name in (form.given("model"), *form.all("also")):
        model = choose(catalogue, name, None)
        if model not in found:
            found.append(model)
    if len(found) > MOST_MODELS:
        raise _wrong("also", f"names more than {MOST_MODELS} models; compare fewer at once")
    return found


def wishes_of(models: Sequence[Model], form: Form, *, prompt: str | None = None, test: bool) -> Sequence[Wish]:
    """The bodies of a form: as it is for its first model, and as near as may be for those beside it.

    `prompt` stands in for an empty one, for quotes. Raises InvalidRequest.
    """
    body = _body_of(form)
    if prompt is not None and not body.get("prompt"):
        body["prompt"] = prompt
    first, *others = models
    return [Wish(first, {**body, "model": full_id(first)}), *(_adapted(model, body, test=test) for model in others)]


def form_of(body: Mapping[str, Any]) -> Form:
    """The form that gives such a body; of media, references alone."""
    pairs: list[tuple[str, str]] = []
    for name, value in body.items():
        role = next((role for role in REFERENCES if field_of(role) == name), None)
        if role is not None:
            pairs.extend((role.value, str(one)) for one in value)
        elif name == "fallback_models":
            pairs.extend((name, str(one)) for one in value)
        elif isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif name == "metadata":
            pairs.append((name, "\n".join(f"{key}={text}" for key, text in value.items())))
        elif isinstance(value, dict):
            pairs.append((name, json.dumps(value, indent=2, ensure_ascii=False)))
        elif value is not None:
            pairs.append((name, str(value)))
    return Form(pairs)


def field_of(role: Role) -> str:
    """The field of a body that takes files in this role."""
    return f"{role.value}s" if role in REFERENCES else role.value


def allowed(model: Model, option: str, *, test: bool) -> Sequence[Any]:
    """The values that an option takes of this model."""
    match option:
        case "aspect_ratio":
            extra = model.test_mode.aspect_ratios if test else ()
            return tuple(dict.fromkeys((*model.aspect_ratios, *extra)))
        case "resolution":
            return model.resolutions
        case "duration":
            return model.durations_s
        case "person_generation":
            return model.person_generation
        case "generate_audio":
            return {Audio.OPTIONAL: (True, False), Audio.ALWAYS: (True,), Audio.NEVER: (False,)}[model.audio]
        case _:
            return ()


def default(model: Model, option: str) -> Any:
    """What an option becomes that is left out; None where the provider decides."""
    return {
        "aspect_ratio": model.defaults.aspect_ratio,
        "resolution": model.defaults.resolution,
        "duration": model.defaults.duration_s,
        "generate_audio": model.defaults.generate_audio,
    }.get(option)


def _body_of(form: Form) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name in TEXTS:
        value = form.given(name)
        if value is not None:
            body[name] = value
    for name in NUMBERS:
        text = form.given(name)
        if text is not None:
            body[name] = _whole_number(name, text)
    audio = form.given("generate_audio")
    if audio is not None:
        body["generate_audio"] = audio == "true"
    for role in Role:
        _put_media(body, role, form.all(role.value))
    if form.all("fallback_models"):
        body["fallback_models"] = form.all("fallback_models")
    params = form.given("additional_params")
    if params is not None:
        body["additional_params"] = _json_object("additional_params", params)
    metadata = form.given("metadata")
    if metadata is not None:
        body["metadata"] = _pairs("metadata", metadata)
    if form.given("byok_api_key") is not None:
        body["byok_api_key"] = form.text("byok_api_key")
    has_video = "video" in body or "previous_job_id" in body
    if form.given("video_task") is not None and has_video:
        body["video_task"] = form.text("video_task")
    return body


def _put_media(body: dict[str, Any], role: Role, values: Sequence[str]) -> None:
    given = [value.strip() for value in values if value.strip()]
    if not given:
        return
    if role in REFERENCES:
        body[field_of(role)] = given
    elif len(given) == 1:
        body[role.value] = given[0]
    else:
        raise _wrong(role.value, "takes one file; remove the others")


def _adapted(model: Model, body: Mapping[str, Any], *, test: bool) -> Wish:
    """The body as far as this model offers it. What it does not offer is left out, and said."""
    kept: dict[str, Any] = {**body, "model": full_id(model)}
    notes: list[str] = []
    for option in ("aspect_ratio", "resolution", "duration", "generate_audio", "person_generation"):
        value = kept.get(option)
        if value is not None and value not in allowed(model, option, test=test):
            del kept[option]
            own = default(model, option)
            instead = "its provider decides" if own is None else f"its default {_said(own)} is used"
            notes.append(f"{option} {_said(value)} is not offered: {instead}")
    for option, is_offered in (("seed", model.seed), ("negative_prompt", model.negative_prompt)):
        if option in kept and not is_offered:
            del kept[option]
            notes.append(f"{option} is not offered, and is left out")
    if kept.get("n", 1) > model.max_n:
        notes.append(f"n {kept['n']} is too many: {model.max_n} is used")
        kept["n"] = model.max_n
    for role in Role:
        field = field_of(role)
        if field in kept and not model.inputs.get(role):
            del kept[field]
            notes.append(f"{field} is not taken, and is left out")
    return Wish(model, kept, tuple(notes))


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _wrong(name, f"{shown(text)} is not a whole number") from None


def _json_object(name: str, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as exc:
        raise _wrong(name, f"is not complete, correct JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise _wrong(name, 'must be a JSON object, such as {"camera": "slow"}')
    return content


def _pairs(name: str, text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        key, found, value = line.partition("=")
        if not found or not key.strip():
            raise _wrong(name, f"has the line {shown(line)}; write each as name=value")
        pairs[key.strip()] = value.strip()
    return pairs


def _wrong(field: str, trouble: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {trouble}", [FieldError(field, trouble)])
