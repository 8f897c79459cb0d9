"""The clients of a rushes service over HTTP, blocking and asynchronous. They import nothing of the server."""

from rushes.client.answers import JobPage, JobState, Model, Price, Video
from rushes.client.asynchronous import AsyncClient, AsyncJob
from rushes.client.blocking import Client, Job
from rushes.client.download import save_video
from rushes.client.errors import (
    AlreadyThere,
    BadRequest,
    BadSignature,
    ClientError,
    Conflict,
    JobFailed,
    LimitReached,
    NotAllowed,
    NotConfigured,
    NotFinished,
    NotFound,
    NotWhole,
    Refused,
    ServiceUnavailable,
    UnexpectedAnswer,
    Unreachable,
    WaitedTooLong,
)
from rushes.client.options import GenerationOptions, Medium

__all__ = [
    "AlreadyThere",
    "AsyncClient",
    "AsyncJob",
    "BadRequest",
    "BadSignature",
    "Client",
    "ClientError",
    "Conflict",
    "GenerationOptions",
    "Job",
    "JobFailed",
    "JobPage",
    "JobState",
    "LimitReached",
    "Medium",
    "Model",
    "NotAllowed",
    "NotConfigured",
    "NotFinished",
    "NotFound",
    "NotWhole",
    "Price",
    "Refused",
    "ServiceUnavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "Video",
    "WaitedTooLong",
    "save_video",
]
