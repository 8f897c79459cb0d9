"""What a credential of a pool takes in all processes together, and that a job is pinned to it, over every database."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rushes.domain.job import Problem, State
from rushes.domain.progress import Submission
from rushes.engine.credential_limits import FULL_S, CredentialBusy
from rushes.engine.job_record import Claim
from rushes.money.usage import UsageStore
from rushes.providers.base import Credential
from rushes.providers.credentials import KeyTerms, Pinned
from tests.contract.database_harness import Desk, together
from tests.fixtures.new_jobs import new_job
from tests.fixtures.scripted_provider import stored_video


def key(name: str = "a", *, in_flight: int | None = None, requests_per_minute: int | None = None) -> Pinned:
    terms = KeyTerms(in_flight=in_flight, requests_per_minute=requests_per_minute)
    return Pinned(Credential("api_key", f"secret-{name}"), "gemini", name, terms)


async def claimed(desk: Desk, jobs: int) -> list[Claim]:
    for number in range(1, jobs + 1):
        await desk.jobs.create(new_job(number, credential="of_the_operator"))
    return [claim for _, claim in sorted((await desk.claim()).items())]


async def intend(desk: Desk, claim: Claim, pinned: Pinned) -> bool:
    """Whether the job's intent was recorded, with this key."""
    try:
        await desk.leases().record(claim).intend(f"att_{claim.job.id}", part=0, n=1, pinned=pinned)
    except CredentialBusy:
        return False
    return True


async def test_a_job_is_pinned_to_its_key_with_its_intent(desk: Desk) -> None:
    (claim,) = await claimed(desk, 1)
    assert (await desk.job()).credential_name is None
    assert await intend(desk, claim, key())
    job = await desk.job()
    assert (job.credential_name, job.credential, job.api) == ("a", key().fingerprint, "gemini")
    assert job.state is State.SUBMITTING


async def test_a_key_that_is_full_takes_no_intent(desk: Desk) -> None:
    first, second, third = await claimed(desk, 3)
    assert await intend(desk, first, key(in_flight=1))
    with pytest.raises(CredentialBusy) as busy:
        await desk.leases().record(second).intend("att_2", part=0, n=1, pinned=key(in_flight=1))
    assert busy.value.wait_s == FULL_S
    job = await desk.job("job_2")
    assert (job.state, job.credential_name) == (State.QUEUED, None)
    # Another key has room, and so has this one once its job has ended.
    assert await intend(desk, second, key("b", in_flight=1))
    await desk.leases().record(first).fail(State.FAILED, Problem("provider_rejected", "It broke"))
    assert await intend(desk, third, key(in_flight=1))


async def test_intents_at_once_do_not_pass_the_limit(desk: Desk) -> None:
    claims = await claimed(desk, 12)
    taken = await together(*(intend(desk, claim, key(in_flight=3)) for claim in claims))
    assert taken.count(True) == 3


async def test_a_key_takes_so_many_submissions_in_a_minute(desk: Desk) -> None:
    first, second, third = await claimed(desk, 3)
    limited = key(requests_per_minute=6)
    assert await intend(desk, first, limited)
    assert not await intend(desk, second, limited)
    desk.harness.pass_time(9.9)
    assert not await intend(desk, second, limited)
    desk.harness.pass_time(0.2)
    assert await intend(desk, second, limited)
    assert not await intend(desk, third, limited)


async def test_what_has_ended_counts_for_the_key(desk: Desk) -> None:
    good, bad = await claimed(desk, 2)
    for claim in (good, bad):
        assert await intend(desk, claim, key())
        await desk.leases().record(claim).accept(f"att_{claim.job.id}", Submission({"name": "a"}))
    usage = UsageStore(desk.harness.database)
    assert await usage.read_credentials(since_day=0, until_day=99_999) == []
    await desk.leases().record(good).begin_storing()
    await desk.leases().record(good).succeed([stored_video()], "stored", of_attempt=f"att_{good.job.id}")
    await desk.leases().record(bad).fail_attempt(f"att_{bad.job.id}", Problem("provider_rejected", "It broke"))
    await desk.leases().record(bad).fail(State.FAILED, Problem("provider_rejected", "It broke"))
    (found,) = await usage.read_credentials(since_day=0, until_day=99_999)
    assert (found.provider, found.credential) == ("scripted", "a")
    assert (found.usage.jobs, found.usage.completed, found.usage.failed) == (2, 1, 1)
    assert found.usage.cost_usd == Decimal("3.20")
    await desk.check_books()
