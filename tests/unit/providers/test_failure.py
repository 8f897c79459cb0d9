from __future__ import annotations

import pytest

from rushes.errors import (
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderError,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
)
from rushes.providers.failure import Complaint, Reply, poll_error, said, submit_error


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ProviderRejected),
        (401, ProviderAuth),
        (402, ProviderCreditEmpty),
        (403, ProviderAuth),
        (404, ProviderRejected),
        (408, ProviderUnavailable),
        (413, ProviderRejected),
        (422, ProviderRejected),
        (429, ProviderQuota),
        (302, ProviderRejected),
        (500, ProviderUnavailable),
        (529, ProviderUnavailable),
        (204, ProviderUnavailable),
    ],
)
def test_each_status_of_a_submit_has_its_error(status: int, error: type[ProviderError]) -> None:
    found = submit_error(Reply(status, {}), Complaint("code"), provider="Studio")
    assert type(found) is error
    assert found.provider_error == "code"
    if isinstance(found, ProviderUnavailable):
        assert found.accepted is None


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 429, 500])
def test_whatever_goes_wrong_with_a_poll_is_worth_another_look(status: int) -> None:
    found = poll_error(Reply(status, {}), Complaint("code"), provider="Studio")
    assert isinstance(found, ProviderUnavailable | ProviderQuota | UnexpectedResponse)
    assert found.retryable


def test_words_are_put_on_one_line_and_cut() -> None:
    shown = said("a\n\tb " + "x" * 10_000, secret="")
    assert shown.startswith("a b x")
    assert len(shown) == 500


@pytest.mark.parametrize("junk", [None, {}, [], {"a": 1}])
def test_what_is_not_text_is_not_shown(junk: object) -> None:
    assert said(junk, secret="") == ""
