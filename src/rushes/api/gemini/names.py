"""The names that Google's clients use: of models, operations and files. Each is made from a job's id, and read back.

Pure: whether there is such a job, and whose it is, is found out elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from rushes.catalogue.wording import shown
from rushes.domain.job import Job
from rushes.errors import NotFound
from rushes.ids import ALPHABET, LENGTH

JOB: Final = "job_"
GOOGLE: Final = "google"

_FILE: Final = re.compile(rf"([{ALPHABET}]{{{LENGTH}}})([0-9])")
_FILE_URL: Final = re.compile(rf"(?:.*/)?files/([{ALPHABET}]{{{LENGTH}}}[0-9])(?::download)?", re.DOTALL)
_OPERATION: Final = re.compile(r"(?:.*/)?operations/([^/]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FileName:
    """One video of one job. Google's clients take lower-case letters and digits alone for a file's id."""

    job_id: str
    index: int

    def __str__(self) -> str:
        return f"{self.job_id.removeprefix(JOB)}{self.index}"


def file_named(name: str) -> FileName:
    """The video that a file's id stands for; it may come as a whole address, as google-genai sends it over http.

    Raises NotFound for what is no id of ours.
    """
    found = _FILE.fullmatch(name.rpartition("files/")[2])
    if found is None:
        raise NotFound(f"File {shown(name)} not found")
    return FileName(JOB + found[1], int(found[2]))


def file_at(address: str) -> FileName | None:
    """The video of ours that an address leads to, whichever host it names; None for any other address."""
    path = urlsplit(address).path if "://" in address else address.partition("?")[0]
    found = _FILE_URL.fullmatch(path)
    return None if found is None else file_named(found[1])


def operation_name(job: Job) -> str:
    """The name of the job's long-running operation."""
    return f"models/{job.asked_name}/operations/{job.id}"


def vertex_operation_name(job: Job, parent: str) -> str:
    """The same on Vertex AI, under the publisher's model `parent`."""
    return f"{parent}/operations/{job.id}"


def operation_id(name: str) -> str:
    """The job's id in the name of an operation, or the name itself if it is nothing more."""
    found = _OPERATION.fullmatch(name)
    return name if found is None else found[1]


def published_model(publisher: str, model: str) -> str:
    """The name in our catalogue of a publisher's model: Google is the publisher of all whose id says no other."""
    return model if publisher == GOOGLE else f"{publisher}/{model}"
