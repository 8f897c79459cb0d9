from __future__ import annotations

import pytest

from rushes.errors import ProviderAuth
from rushes.providers.base import Credential
from rushes.providers.failure import Reply
from rushes.providers.google.tokens import ServiceAccount, token_in


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.mark.parametrize("secret", ["", "{", "[]", "{}", "3", '{"client_email": 1}', '"text"'])
def test_what_is_not_a_service_account_is_refused_without_being_quoted(secret: str) -> None:
    with pytest.raises(ProviderAuth) as caught:
        ServiceAccount.of(Credential("service_account", secret))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("body", "life_s"),
    [
        ({"access_token": "t", "expires_in": 3599}, 3299),
        ({"access_token": "t", "expires_in": 60}, 30),
        ({"access_token": "t", "expires_in": "3599"}, 0),
        ({"access_token": "t", "expires_in": True}, 0),
        ({"access_token": "t"}, 0),
    ],
)
def test_a_token_is_renewed_early(body: dict[str, object], life_s: int) -> None:
    token = token_in(Reply(200, body), 1000)
    assert token is not None
    assert token.renew_at_ms == 1000 + life_s * 1000


@pytest.mark.parametrize("value", [None, "", 3, "a b", "a\r\nX: y", "schlüssel"])
def test_what_no_header_can_carry_is_no_token(value: object) -> None:
    assert token_in(Reply(200, {"access_token": value, "expires_in": 3599}), 0) is None
