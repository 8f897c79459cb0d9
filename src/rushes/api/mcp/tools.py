"""The tools as agents see them: names, descriptions, arguments, results and hints.

Agents pay for each word, so a test holds the whole list under 3,000 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from rushes.domain.job import Status
from rushes.domain.options import LONGEST_NAME, OPTIONS, Option
from rushes.domain.request import VideoTask
from rushes.jobs.idempotency import LONGEST_KEY

LONGEST_WAIT_S: Final = 50
"""Agents and proxies give up after a minute."""
MOST_LISTED: Final = 100
USUALLY_LISTED: Final = 10

INSTRUCTIONS: Final = (
    "Makes videos. 1. list_models. 2. quote_video, and tell the person the price. 3. generate_video with max_cost_usd "
    "and a new idempotency_key; if the answer is lost, repeat the call with the same key. 4. get_video with wait_s "
    "until the status is completed or failed. 5. Show the link."
)

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. Hints are those of MCP: whether it only reads, may destroy, may be repeated, reaches the outside."""

    name: str
    title: str
    description: str
    arguments: Schema
    result: Schema
    reads_only: bool = False
    destroys: bool = False
    repeatable: bool = False
    reaches_out: bool = False

    def hints(self) -> dict[str, Any]:
        """The tool's annotations on the wire."""
        return {
            "title": self.title,
            "readOnlyHint": self.reads_only,
            "destructiveHint": self.destroys,
            "idempotentHint": self.repeatable,
            "openWorldHint": self.reaches_out,
        }


TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
OBJECT: Final[Schema] = {"type": "object"}

_SHORT: Final = {
    "prompt": "What to show",
    "model": "provider/ID from list_models",
    "aspect_ratio": "Such as 16:9",
    "resolution": "Such as 720p",
    "size": "WxH, instead of the two above",
    "duration": "Seconds",
    "n": "How many videos",
    "negative_prompt": "What to avoid",
    "person_generation": "Which people may be shown",
    "input_image": "Opening shot. Media are an http(s) URL, a reference from upload_media, or base64",
    "last_frame": "Closing shot",
    "reference_image": "For style or subject",
    "video": "Video to work on",
    "previous_job_id": "Or work on the video of this finished job",
    "video_task": "What to do with the video",
    "user": "Your tag for an end user",
}


def _type_of(option: Option) -> Schema:
    kind = option.kind
    if kind is str:
        schema = dict(TEXT)
    elif kind is bool:
        schema = {"type": "boolean"}
    elif kind is int:
        schema = dict(WHOLE)
    elif kind is VideoTask:
        schema = {"enum": [task.value for task in VideoTask]}
    elif kind == list[str]:
        schema = {"type": "array", "items": TEXT}
    else:
        schema = {"type": "object", "additionalProperties": TEXT}
    return schema


def _options(*, described: bool) -> Schema:
    options: Schema = {}
    for option in OPTIONS:
        options[option.name] = _type_of(option)
        if described and option.name in _SHORT:
            options[option.name]["description"] = _SHORT[option.name]
    return options


def _arguments(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def _result(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _said(schema: Schema, description: str, **more: Any) -> Schema:
    return {**schema, **more, "description": description}


_STATUS: Final[Schema] = {"enum": [status.value for status in Status]}
_JOB_ID: Final[Schema] = dict(TEXT)
_JOB: Final[Schema] = _result(
    ("job_id", "status", "progress", "usage"),
    job_id=TEXT,
    status=_STATUS,
    progress=_said(WHOLE, "Percent"),
    usage=_result(("cost",), cost=_said(NUMBER_OR_NULL, "USD")),
    error=TEXT_OR_NULL,
    error_code=TEXT_OR_NULL,
    result=_said(
        {"type": ["object", "null"]}, "Once completed: url, thumbnail_url, duration ... and data for each video"
    ),
)

TOOLS: Final = (
    Tool(
        "list_models",
        "List video models",
        "The models that can be used, with what they can do and cost. With `model`: everything about that one, such as"
        " allowed values.",
        _arguments(model=TEXT, provider=TEXT, capability=_said(TEXT, "Such as image_to_video")),
        _result(("models",), models={"type": "array", "items": OBJECT}),
        reads_only=True,
        repeatable=True,
    ),
    Tool(
        "quote_video",
        "Price of a video",
        "What generate_video would cost with these arguments, in USD. Checks them too. Starts nothing.",
        _arguments(("prompt",), **_options(described=False)),
        _result(
            ("cost", "served_model"),
            cost=_said(NUMBER_OR_NULL, "USD; null: unknown"),
            served_model=TEXT,
            within_limits={"type": "boolean"},
            warnings={"type": "array", "items": TEXT},
        ),
        reads_only=True,
        repeatable=True,
    ),
    Tool(
        "generate_video",
        "Make a video",
        "Starts a video; this may cost money. Returns its job at once: call get_video until it has ended. Values that a"
        " model allows are in list_models.",
        _arguments(
            ("prompt",),
            **_options(described=True),
            max_cost_usd=_said(
                {"type": "number"},
                "The most that it may cost. Needed where it costs money; get the price from quote_video",
            ),
            idempotency_key=_said(
                TEXT,
                "A new unique text for each video wanted. After a lost answer send the same call with the same key: it"
                " is not bought twice",
                maxLength=LONGEST_KEY,
            ),
        ),
        _JOB,
        reaches_out=True,
    ),
    Tool(
        "get_video",
        "Get a video",
        "A job, and once it is completed links to its videos. Waits for its end for up to wait_s seconds.",
        _arguments(("job_id",), job_id=_JOB_ID, wait_s=_said(WHOLE, "Seconds", minimum=0, maximum=LONGEST_WAIT_S)),
        _JOB,
        reads_only=True,
        repeatable=True,
    ),
    Tool(
        "list_videos",
        "List videos",
        "Your jobs, newest first.",
        _arguments(
            limit=_said(WHOLE, f"Default {USUALLY_LISTED}", minimum=1, maximum=MOST_LISTED),
            cursor=_said(TEXT, "next_cursor of the page before"),
            status=_STATUS,
            model=TEXT,
            user=TEXT,
        ),
        _result(("jobs",), jobs={"type": "array", "items": OBJECT}, next_cursor=TEXT_OR_NULL),
        reads_only=True,
        repeatable=True,
    ),
    Tool(
        "cancel_video",
        "Cancel a video",
        "Cancels a job that is still pending; a later one cannot be cancelled.",
        _arguments(("job_id",), job_id=_JOB_ID),
        _JOB,
        destroys=True,
        repeatable=True,
    ),
    Tool(
        "upload_media",
        "Upload media",
        "Stores an image, video or audio and returns a `reference` for the media arguments. Without `url`: returns a"
        " link to which a local file can be sent once, for 15 minutes; that answers the reference.",
        _arguments(url=_said(TEXT, "http(s) URL to fetch it from")),
        _result((), reference=TEXT, upload_url=TEXT, expires_at=TEXT),
        reaches_out=True,
    ),
)
"""All tools, in the order in which an agent needs them."""

BY_NAME: Final = {tool.name: tool for tool in TOOLS}

LONGEST_ARGUMENT: Final = LONGEST_NAME
"""Of a text that names something, in characters."""
