"""What the bodies of this surface may hold, for the OpenAPI document. Null means not given, as everywhere here."""

from __future__ import annotations

from typing import Any, Final

from rushes.api.gemini.interaction_fields import DELIVERIES, TASKS
from rushes.api.gemini.media import ADDRESSES, BYTES
from rushes.api.gemini.veo_fields import NUMBERS, REFERENCE_TYPES, REWRITING, SOUND, TEXTS
from rushes.api.http.prefer import PREFER_PARAMETER
from rushes.jobs.idempotency import HEADER, LONGEST_KEY

Schema = dict[str, Any]

_IDEMPOTENCY: Final[Schema] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Makes the request safe to send again: one job, one answer, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}
_TEXT: Final[Schema] = {"type": "string"}
_SWITCH: Final[Schema] = {"type": "boolean"}
_TEXTS: Final[Schema] = {"type": "object", "additionalProperties": _TEXT}
_NUMBER: Final[Schema] = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]{1,19}$"}]}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(*required: str, **properties: Schema) -> Schema:
    given = {name: schema if name in required else _or_null(schema) for name, schema in properties.items()}
    return {"type": "object", "properties": given, **({"required": list(required)} if required else {})}


def _body(schema: Schema, *parameters: Schema) -> Schema:
    content = {"application/json": {"schema": schema}}
    return {"parameters": list(parameters), "requestBody": {"required": True, "content": content}}


def path_parameters(*names: str) -> list[Schema]:
    """Parts of an address that no function reads."""
    return [{"name": name, "in": "path", "required": True, "schema": {**_TEXT, "minLength": 1}} for name in names]


_FILE: Final = _object(**dict.fromkeys((*BYTES, *ADDRESSES, "mimeType"), _TEXT))
_INSTANCE: Final = _object(
    "prompt",
    prompt={**_TEXT, "minLength": 1},
    image=_FILE,
    lastFrame=_FILE,
    video=_FILE,
    referenceImages={
        "type": "array",
        "items": _object("image", image=_FILE, referenceType={**_TEXT, "enum": list(REFERENCE_TYPES)}),
    },
)
_PARAMETERS: Final = _object(
    **dict.fromkeys(TEXTS, _TEXT),
    **dict.fromkeys(NUMBERS, _NUMBER),
    **dict.fromkeys((SOUND, REWRITING), _SWITCH),
)

VEO: Final = _body(
    _object(
        "instances",
        instances={"type": "array", "minItems": 1, "maxItems": 1, "items": _INSTANCE},
        parameters=_PARAMETERS,
        labels=_TEXTS,
        webhookConfig=_object(uris={"type": "array", "items": _TEXT}, userMetadata=_TEXTS),
    ),
    _IDEMPOTENCY,
)
"""`predictLongRunning`"""

OPERATION_NAME: Final = _body({**_object("operationName", operationName=_TEXT), "additionalProperties": False})
"""`fetchPredictOperation`"""

_BLOCK: Final = _object(
    "type",
    type={**_TEXT, "enum": ["text", "image", "video", "audio"]},
    text=_TEXT,
    data=_TEXT,
    uri=_TEXT,
    mime_type=_TEXT,
)
_FORMAT: Final = _object(
    type={"const": "video"},
    aspect_ratio=_TEXT,
    resolution=_TEXT,
    duration={**_TEXT, "pattern": "^[1-9][0-9]?s$"},
    delivery={**_TEXT, "enum": list(DELIVERIES)},
)
_TASK: Final = {**_object(task={**_TEXT, "enum": [str(task) for task in TASKS]}), "additionalProperties": False}

INTERACTION: Final = _body(
    _object(
        "model",
        "input",
        model={**_TEXT, "minLength": 1, "examples": ["animatic/storyboard"]},
        input={"anyOf": [_TEXT, _BLOCK, {"type": "array", "minItems": 1, "maxItems": 16, "items": _BLOCK}]},
        background=_SWITCH,
        previous_interaction_id=_TEXT,
        response_format=_FORMAT,
        generation_config=_object(seed=_NUMBER, video_config=_TASK),
        labels=_TEXTS,
        webhook_config=_object(uris={"type": "array", "items": _TEXT}, user_metadata=_TEXTS),
    ),
    PREFER_PARAMETER,
    _IDEMPOTENCY,
)
