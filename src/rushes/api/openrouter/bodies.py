"""The body of a submit, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from rushes.api.openrouter.fields import FRAMES, REFERENCES

_TEXT: Final = {"type": "string"}


def _part(kind: str, **more: Any) -> dict[str, Any]:
    url = {"type": "object", "required": ["url"], "properties": {"url": _TEXT}}
    return {
        "type": "object",
        "required": ["type", kind, *more],
        "properties": {"type": {"const": kind}, kind: url, **more},
    }


_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "model": {**_TEXT, "minLength": 1, "description": "A name of GET /api/v1/videos/models."},
    "prompt": {**_TEXT, "minLength": 1},
    "aspect_ratio": _TEXT,
    "resolution": {**_TEXT, "description": "Such as `720p` or `4K`."},
    "size": {**_TEXT, "description": "`WIDTHxHEIGHT`: ratio and resolution in one."},
    "duration": {"type": "integer", "description": "Seconds."},
    "seed": {"type": "integer"},
    "generate_audio": {"type": "boolean"},
    "frame_images": {
        "type": "array",
        "items": _part("image_url", frame_type={"enum": list(FRAMES)}),
        "description": "The opening and the closing shot.",
    },
    "input_references": {
        "type": "array",
        "items": {"anyOf": [_part(kind) for kind in REFERENCES]},
        "description": "Images, videos and audio for style or subject.",
    },
    "previous_job_id": {**_TEXT, "description": "A finished video to edit or extend."},
    "callback_url": {**_TEXT, "description": "An https address to tell of the end."},
    "session_id": {**_TEXT, "maxLength": 256, "description": "Kept among the job's metadata."},
    "user": {**_TEXT, "description": "Your own tag; never sent upstream."},
    "trace": {"type": "object", "description": "Kept among the job's metadata."},
    "provider": {
        "type": "object",
        "properties": {
            "options": {
                "type": "object",
                "additionalProperties": {"type": "object"},
                "description": "By a provider's slug, its own options. Those of other providers are ignored.",
            }
        },
    },
}

SUBMIT: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["model", "prompt"], "properties": _FIELDS},
            }
        },
    }
}
