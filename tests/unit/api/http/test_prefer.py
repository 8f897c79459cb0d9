"""The Prefer header: RFC 7240's forms are read, and nothing that is malformed is an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.api.http.prefer import LONGEST_WAIT_S, Preference, preference_of
from tests.fixtures.asking import request_of


def read(value: str) -> Preference:
    return preference_of(request_of(headers={"Prefer": value}))


@pytest.mark.parametrize(
    ("value", "preference"),
    [
        ("wait=30", Preference(30)),
        ("Wait = 30", Preference(30)),
        ('wait="30"', Preference(30)),
        ("wait=30; by=patience", Preference(30)),
        ("wait=0", Preference(0)),
        ("wait=61", Preference(60)),
        ("wait=99999999999999999999", Preference(60)),
        ("respond-async", Preference(respond_async=True)),
        ("respond-async, wait=10", Preference(10, respond_async=True)),
        ("return=minimal, wait=10", Preference(10)),
        ("wait=10, wait=20", Preference(10)),
        ('other="wait=5, wait=6", wait=7', Preference(7)),
        (",,wait=5,", Preference(5)),
    ],
)
def test_a_preference_is_read_in_every_form_that_it_can_take(value: str, preference: Preference) -> None:
    assert read(value) == preference


@pytest.mark.parametrize(
    "value",
    ["", "wait", "wait=", "wait=-1", "wait=1.5", "wait=ten", "wait=\u0663", "waiting=5", "respond-async=5", '"'],
)
def test_what_cannot_be_read_counts_as_not_said(value: str) -> None:
    assert preference_of(request_of(headers={"Prefer": value.encode().decode("latin-1")})) == Preference()


@given(st.text(st.characters(codec="latin-1")))
def test_no_header_is_an_error_or_a_wait_beyond_the_longest(value: str) -> None:
    wait_s = read(value).wait_s
    assert wait_s is None or 0 <= wait_s <= LONGEST_WAIT_S


def test_two_headers_are_one_list() -> None:
    request = request_of()
    request.scope["headers"] = [(b"prefer", b"respond-async"), (b"prefer", b"wait=3")]
    assert preference_of(request) == Preference(3, respond_async=True)


def test_only_what_was_honoured_is_said_to_be_applied() -> None:
    preference = Preference(60, respond_async=True)
    assert preference.applied(has_waited=True) == {"Preference-Applied": "respond-async, wait=60"}
    assert preference.applied(has_waited=False) == {"Preference-Applied": "respond-async"}
    assert Preference().applied(has_waited=False) == {}
