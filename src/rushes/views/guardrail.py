"""What a record of the guardrail looks like as JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from rushes.jobs.guardrail.store import GuardRecord
from rushes.views.times import rfc3339


class GuardrailRecordView(BaseModel):
    """A request that was blocked, or the original of a prompt that was rewritten."""

    id: str
    created_at: str
    action: Literal["block", "rewrite"]
    reason: str | None
    account_id: str
    account: str
    key_id: str
    request_id: str | None
    job_id: str | None = Field(description="The job that was made of a rewrite.")
    model: str
    user: str | None
    prompt: str | None = Field(
        description="As its caller wrote it; of a blocked request, null unless prompts of these are kept."
    )


def guardrail_record(one: GuardRecord) -> GuardrailRecordView:
    """What an administrator sees of a record."""
    return GuardrailRecordView(
        id=one.id,
        created_at=rfc3339(one.created_at),
        action="block" if one.action == "block" else "rewrite",
        reason=one.reason,
        account_id=one.account_id,
        account=one.account,
        key_id=one.key_id,
        request_id=one.request_id,
        job_id=one.job_id,
        model=one.model,
        user=one.user,
        prompt=one.prompt,
    )
