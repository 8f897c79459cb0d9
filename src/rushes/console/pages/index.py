"""Every page of the console."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.console.pages import (
    accounts,
    audit,
    job,
    jobs,
    keys,
    models,
    operations,
    playground,
    uploads,
    usage,
    webhooks,
)
from rushes.console.routes import Page
from rushes.console.sign_in import oidc
from rushes.console.sign_in import pages as sign_in


def all_pages() -> Sequence[Page]:
    """In the order in which addresses are looked for."""
    groups = (
        sign_in.PAGES,
        oidc.PAGES,
        playground.PAGES,
        uploads.PAGES,
        jobs.PAGES,
        job.PAGES,
        models.PAGES,
        usage.PAGES,
        keys.PAGES,
        webhooks.PAGES,
        accounts.PAGES,
        audit.PAGES,
        operations.PAGES,
    )
    return [page for pages in groups for page in pages]
