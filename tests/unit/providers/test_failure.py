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
from rushes.providers.failure import Complaint, Reply, poll_error, retry_after_s, said, submit_error

NOW_MS = 1_795_305_600_000
"""2026-11-22T00:00:00Z"""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (" 1.5 ", 1.5),
        ("Sun, 22 Nov 2026 00:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 2049 23:59:59 GMT", 3600.0),
        ("99999999", 3600.0),
        ("-5", 0.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_absurd(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, now_ms=NOW_MS) == seconds


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
