"""A signed URL reaches its server as it was written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from rushes.net.urls import exact_url, joined

LEGAL = st.text(alphabet="!$&'()*+,-./0123456789:;=@ABCXYZ[]_abcxyz~", max_size=40)
ESCAPES = st.sampled_from(["%2F", "%2f", "%3A", "%20", "%25", "%C3%A9", "%7E", "%41", "+", "%2B"])
WRITTEN = st.lists(LEGAL | ESCAPES, max_size=8).map("".join)


@given(path=WRITTEN, query=WRITTEN | st.none())
def test_what_may_stand_in_a_url_is_kept_byte_for_byte(path: str, query: str | None) -> None:
    tail = f"/{path}" + (f"?{query}" if query else "")
    assert str(exact_url(f"https://example.com{tail}")) == f"https://example.com{tail}"


@given(st.text(max_size=60))
def test_what_may_not_stand_there_is_encoded_and_nothing_else(text: str) -> None:
    path = re.sub(r"[?#]", "", text)
    try:
        url = str(exact_url(f"https://example.com/{path}"))
    except UnicodeEncodeError:
        return
    assert re.fullmatch(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]*", url)
    assert str(exact_url(url)) == url


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("HTTPS://Example.COM/A%2fb?X=%2F", "https://example.com/A%2fb?X=%2F"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com?a=%2F", "https://example.com/?a=%2F"),
        ("https://example.com/a b", "https://example.com/a%20b"),
        ("https://example.com/é", "https://example.com/%C3%A9"),
        ("https://example.com/100%", "https://example.com/100%"),
        ("https://example.com/%zz?q=%", "https://example.com/%zz?q=%"),
        ("https://example.com/a/../b", "https://example.com/a/../b"),
        ("https://example.com/?", "https://example.com/?"),
        ("https://example.com?", "https://example.com/?"),
        ("https://example.com/a b?#c", "https://example.com/a%20b?"),
        ("https://example.com/a#b", "https://example.com/a"),
        ("https://exämple.com/%2F", "https://xn--exmple-cua.com/%2F"),
    ],
)
def test_a_url_is_sent_as_written(written: str, sent: str) -> None:
    assert str(exact_url(written)) == sent


@pytest.mark.parametrize("text", ["", "example.com/a", "/a", "https:/a", "https://", "https:///a", "https://a:99999/"])
def test_what_is_no_absolute_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        exact_url(text)


@pytest.mark.parametrize(
    ("target", "there"),
    [
        ("/x%2Fy?sig=a%2Fb", "https://example.com/x%2Fy?sig=a%2Fb"),
        ("z%2F?s=%2f", "https://example.com/a%2Fb/z%2F?s=%2f"),
        ("?s=%2F", "https://example.com/a%2Fb/c%3A?s=%2F"),
        ("//cdn.example.com/x%2Fy", "https://cdn.example.com/x%2Fy"),
        (
            "https://cdn.example.com/https%3A%2F%2Fx%2Fa.png?s=%2F",
            "https://cdn.example.com/https%3A%2F%2Fx%2Fa.png?s=%2F",
        ),
    ],
)
def test_a_redirect_leads_where_it_says(target: str, there: str) -> None:
    assert str(joined(URL("https://example.com/a%2Fb/c%3A?old=1", encoded=True), target)) == there


@pytest.mark.parametrize("target", ["ftp:x", "javascript:alert(1)", "data:text/plain,x", "https://", "//"])
def test_a_redirect_to_something_else_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        joined(URL("https://example.com/"), target)
