"""An asynchronous client of a rushes service over HTTP. It imports nothing of the server."""

from rushes.client.answers import Job, JobPage, Model, Price, Started, Video
from rushes.client.client import Client, GenerationOptions
from rushes.client.download import save_video
from rushes.client.errors import (
    AlreadyThere,
    BadRequest,
    ClientError,
    Conflict,
    LimitReached,
    NotAllowed,
    NotFound,
    NotWhole,
    Refused,
    ServiceUnavailable,
    UnexpectedAnswer,
    Unreachable,
    WaitedTooLong,
)

__all__ = [
    "AlreadyThere",
    "BadRequest",
    "Client",
    "ClientError",
    "Conflict",
    "GenerationOptions",
    "Job",
    "JobPage",
    "LimitReached",
    "Model",
    "NotAllowed",
    "NotFound",
    "NotWhole",
    "Price",
    "Refused",
    "ServiceUnavailable",
    "Started",
    "UnexpectedAnswer",
    "Unreachable",
    "Video",
    "WaitedTooLong",
    "save_video",
]
