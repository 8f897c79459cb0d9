from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from rushes.errors import ProviderAuth, ProviderUnavailable
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.google import tokens
from rushes.providers.google.tokens import AccessTokens, ServiceAccount
from tests.fixtures.upstreams import vertex, vertex_scripts


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.fixture
async def upstream() -> AsyncIterator[vertex.Vertex]:
    async with vertex.Vertex() as upstream:
        upstream.now_s = lambda: 1_800_000_000.0
        yield upstream


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def access(upstream: vertex.Vertex, clock: Hands) -> AsyncIterator[AccessTokens]:
    client = HttpClient()
    access = AccessTokens(client, upstream.token_url, clock=clock)
    yield access
    await access.close()
    await client.close()


def account_of(upstream: vertex.Vertex, name: str = "films") -> ServiceAccount:
    return ServiceAccount.of(Credential("service_account", upstream.service_account(name)))


async def test_a_token_is_held_until_five_minutes_before_its_end(
    upstream: vertex.Vertex, access: AccessTokens, clock: Hands
) -> None:
    account = account_of(upstream)
    assert access.held(account) is None
    token = await access.ask(account)
    clock.now += (3599 - 301) * 1000
    assert access.held(account) is token
    clock.now += 2000
    assert access.held(account) is None


async def test_a_token_that_cannot_be_renewed_is_used_to_its_end(
    upstream: vertex.Vertex, access: AccessTokens, clock: Hands
) -> None:
    account = account_of(upstream)
    token = await access.ask(account)
    upstream.token_trouble = vertex_scripts.TOKEN_TROUBLES["broken"]
    clock.now += 3400 * 1000
    assert await access.ask(account) is token
    clock.now += 200 * 1000
    with pytest.raises(ProviderUnavailable):
        await access.ask(account)


async def test_a_forgotten_token_is_not_held(upstream: vertex.Vertex, access: AccessTokens) -> None:
    account = account_of(upstream)
    token = await access.ask(account)
    access.forget(account, "another")
    assert access.held(account) is token
    access.forget(account, token.value)
    assert access.held(account) is None


async def test_two_accounts_of_one_name_do_not_share_a_token(upstream: vertex.Vertex, access: AccessTokens) -> None:
    account = account_of(upstream)
    await access.ask(account)
    impostor = {**json.loads(upstream.service_account()), "private_key": "guessed"}
    assert access.held(ServiceAccount.of(Credential("service_account", json.dumps(impostor)))) is None


async def test_only_so_many_tokens_are_kept(
    upstream: vertex.Vertex, access: AccessTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST_KEPT", 2)
    accounts = [account_of(upstream, name) for name in ("a", "b", "c")]
    await access.ask(accounts[0])
    await access.ask(accounts[1])
    access.held(accounts[0])
    await access.ask(accounts[2])
    assert [access.held(account) is not None for account in accounts] == [True, False, True]


async def test_all_who_wait_get_one_answer_also_if_it_is_a_failure(
    upstream: vertex.Vertex, access: AccessTokens
) -> None:
    upstream.token_gate = asyncio.Event()
    upstream.token_trouble = vertex_scripts.TOKEN_TROUBLES["invalid-grant"]
    account = account_of(upstream)
    asking = [asyncio.create_task(access.ask(account)) for _ in range(5)]
    await upstream.token_asked.wait()
    asking[0].cancel()
    upstream.token_gate.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] + [ProviderAuth] * 4
    assert len(upstream.requests) == 1


async def test_closing_gives_up_what_is_being_asked_for(upstream: vertex.Vertex, access: AccessTokens) -> None:
    upstream.token_gate = asyncio.Event()
    asking = asyncio.create_task(access.ask(account_of(upstream)))
    await upstream.token_asked.wait()
    await access.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_nothing_secret_is_in_a_repr(upstream: vertex.Vertex, access: AccessTokens) -> None:
    account = account_of(upstream)
    token = await access.ask(account)
    shown = f"{account!r} {token!r} {access!r}"
    assert token.value not in shown
    assert account.private_key.splitlines()[1] not in shown
