"""Every page of the console."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.console.pages import job, jobs, playground, uploads
from rushes.console.routes import Page
from rushes.console.sign_in import pages as sign_in


def all_pages() -> Sequence[Page]:
    """In the order in which addresses are looked for."""
    return (*sign_in.PAGES, *playground.PAGES, *uploads.PAGES, *jobs.PAGES, *job.PAGES)
