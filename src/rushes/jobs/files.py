"""Where a job's files are kept, and the list of files to delete."""

from __future__ import annotations

from rushes.db.database import Transaction
from rushes.domain.job import Job

DELETE_FILE = "INSERT INTO doomed_files (key) VALUES (:key) ON CONFLICT (key) DO NOTHING"
"""Puts a file on the list of files to delete (retention.py)."""


def video_key(job_id: str, attempt_id: str, place: int, lease: str) -> str:
    """Where a worker keeps one video of an attempt, under a name that no other lease has.

    The storage knows no fence: a worker that has lost its lease may still write and delete. There is no folder for each
    job, since making a folder durable costs a disk one more sync.
    """
    return f"videos/{job_id[-2:]}/{job_id}-{attempt_id}-{place}-{lease.rpartition('.')[2]}.mp4"


def poster_key(job_id: str, index: int) -> str:
    """Where the poster frame of a job's video is kept, once a caller has asked for it."""
    return f"posters/{job_id}/{index}.jpg"


async def delete_file(transaction: Transaction, key: str) -> None:
    """Have a file removed from storage, if it exists, soon after this transaction is committed."""
    await transaction.execute(DELETE_FILE, key=key)


async def delete_files(transaction: Transaction, job: Job) -> None:
    """Have all files of a job's videos removed from storage."""
    for index, output in enumerate(job.outputs):
        await delete_file(transaction, output.key)
        await delete_file(transaction, poster_key(job.id, index))
