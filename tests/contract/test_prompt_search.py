"""What a search in prompts promises, over every database."""

from __future__ import annotations

import pytest

from rushes.domain.request import VideoRequest
from rushes.jobs import search
from rushes.jobs.search import find_by_prompt
from rushes.jobs.store import Listing
from tests.contract.database_harness import Desk
from tests.fixtures.new_jobs import ACCOUNT, new_job


async def store(desk: Desk, *prompts: str, account_id: str = ACCOUNT) -> list[str]:
    """Jobs with these prompts, the last one newest; their ids."""
    return [
        (await desk.jobs.create(new_job(number, account_id=account_id, request=VideoRequest(prompt=prompt)))).id
        for number, prompt in enumerate(prompts)
    ]


async def found(desk: Desk, text: str) -> list[str]:
    result = await find_by_prompt(desk.jobs, ACCOUNT, Listing(limit=10), text)
    return [job.request.prompt for job in result.jobs]


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("boat", True), ("BOAT paper", True), ("straße", True), ("STRASSE", True), ('"wet"', True),
        ("back\\slash", True), ("línea", True), ("boat sun", False), ("version", False), ("prompt", False),
        ("16:9", False), ("%", False), ("_", False),
    ],
)  # fmt: skip
async def test_every_word_is_looked_for_in_the_prompt_alone(desk: Desk, text: str, is_found: bool) -> None:
    prompt = 'A paper Boat on a "wet" Straße\nback\\slash línea'
    await store(desk, prompt)
    assert await found(desk, text) == ([prompt] if is_found else [])


async def test_the_newest_come_first_and_a_page_goes_on_where_the_last_ended(desk: Desk) -> None:
    await store(desk, "a 1", "b", "a 2", "a 3")
    first = await find_by_prompt(desk.jobs, ACCOUNT, Listing(limit=2), "a")
    assert [job.request.prompt for job in first.jobs] == ["a 3", "a 2"]
    assert first.next_seq is not None
    second = await find_by_prompt(desk.jobs, ACCOUNT, Listing(limit=2, beyond_seq=first.next_seq), "a")
    assert [job.request.prompt for job in second.jobs] == ["a 1"]
    assert second.next_seq is None


async def test_a_search_reads_no_more_than_it_may_and_says_how_far_it_came(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "READ_AT_ONCE", 2)
    await store(desk, "needle", *["hay"] * 6)
    result = await find_by_prompt(desk.jobs, ACCOUNT, Listing(limit=10), "needle", most_read=5)
    assert (result.jobs, result.read) == ([], 5)
    assert result.oldest_at is not None
    assert result.next_seq is not None
    again = await find_by_prompt(desk.jobs, ACCOUNT, Listing(limit=10, beyond_seq=result.next_seq), "needle")
    assert [job.request.prompt for job in again.jobs] == ["needle"]
    assert (again.read, again.next_seq) == (2, None)


async def test_another_accounts_jobs_are_not_found(desk: Desk) -> None:
    await store(desk, "secret plan", account_id="acct_other")
    assert await found(desk, "secret") == []


async def test_of_an_account_without_jobs_nothing_is_read(desk: Desk) -> None:
    result = await find_by_prompt(desk.jobs, ACCOUNT, Listing(limit=10), "anything")
    assert (result.jobs, result.read, result.oldest_at, result.next_seq) == ([], 0, None, None)
