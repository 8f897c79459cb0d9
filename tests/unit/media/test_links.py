"""A signed link opens one path until it expires, and nothing else does."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.media.links import LinkSigner, LinkState

OLD, NEW = b"o" * 32, b"n" * 32
PATH = "/api/v1/videos/jobs/job_1/content/0"
NOW_S = 1_800_000_000


def parts(query: str) -> tuple[str, str]:
    values = parse_qs(query, strict_parsing=True)
    return values["expires"][0], values["signature"][0]


def link(signer: LinkSigner, path: str = PATH, expires_at_s: int = NOW_S + 60) -> tuple[str, str]:
    return parts(signer.sign(path, expires_at_s))


def test_a_signed_link_is_valid() -> None:
    signer = LinkSigner([NEW])
    assert signer.verify(PATH, *link(signer), NOW_S) is LinkState.VALID


def test_a_link_is_valid_until_the_moment_it_expires() -> None:
    signer = LinkSigner([NEW])
    assert signer.verify(PATH, *link(signer), NOW_S + 59.999) is LinkState.VALID
    assert signer.verify(PATH, *link(signer), NOW_S + 60) is LinkState.EXPIRED


def test_a_link_signed_with_an_older_key_is_valid() -> None:
    assert LinkSigner([NEW, OLD]).verify(PATH, *link(LinkSigner([OLD])), NOW_S) is LinkState.VALID


def test_the_first_key_signs() -> None:
    assert LinkSigner([NEW, OLD]).sign(PATH, NOW_S) == LinkSigner([NEW]).sign(PATH, NOW_S)


def test_a_link_signed_with_a_removed_key_is_forged() -> None:
    assert LinkSigner([NEW]).verify(PATH, *link(LinkSigner([OLD])), NOW_S) is LinkState.FORGED


def test_a_link_does_not_open_another_path() -> None:
    signer = LinkSigner([NEW])
    assert signer.verify(PATH + "0", *link(signer), NOW_S) is LinkState.FORGED


def test_a_link_cannot_be_prolonged() -> None:
    signer = LinkSigner([NEW])
    _, signature = link(signer)
    assert signer.verify(PATH, str(NOW_S + 61), signature, NOW_S) is LinkState.FORGED


def test_a_forged_link_is_forged_even_where_it_would_have_expired() -> None:
    assert LinkSigner([NEW]).verify(PATH, "1", "x", NOW_S) is LinkState.FORGED


@pytest.mark.parametrize("change", ["{}=", "{}A", " {}", "{} ", "{}\n"])
def test_a_signature_has_one_spelling(change: str) -> None:
    signer = LinkSigner([NEW])
    expires, signature = link(signer)
    assert signer.verify(PATH, expires, change.format(signature), NOW_S) is LinkState.FORGED


@pytest.mark.parametrize("change", ["0{}", "+{}", " {}", "{}\n", "{}.0", "-{}"])
def test_a_time_has_one_spelling(change: str) -> None:
    signer = LinkSigner([NEW])
    expires, signature = link(signer)
    assert signer.verify(PATH, change.format(expires), signature, NOW_S) is LinkState.FORGED


@given(
    path=st.text(st.characters()),
    expires=st.none() | st.text(st.characters()) | st.integers().map(str),
    signature=st.none() | st.text(st.characters()),
)
def test_garbage_is_forged_and_never_an_error(path: str, expires: str | None, signature: str | None) -> None:
    assert LinkSigner([NEW]).verify(path, expires, signature, NOW_S) is LinkState.FORGED


@given(path=st.text(), expires_at_s=st.integers(0, 10**12 - 1))
def test_whatever_was_signed_verifies(path: str, expires_at_s: int) -> None:
    signer = LinkSigner([NEW])
    expected = LinkState.VALID if expires_at_s > NOW_S else LinkState.EXPIRED
    assert signer.verify(path, *link(signer, path, expires_at_s), NOW_S) is expected


def test_a_signer_needs_a_key() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        LinkSigner([])


def test_a_signer_does_not_show_its_keys() -> None:
    assert "nnn" not in repr(LinkSigner([NEW]))


@given(key=st.binary(max_size=200), path=st.text(), expires_at_s=st.integers(0, 10**12 - 1))
def test_a_signature_is_the_hmac_of_the_path_and_the_time(key: bytes, path: str, expires_at_s: int) -> None:
    digest = hmac.digest(key, f"{path}\n{expires_at_s}".encode(), "sha256")
    _, signature = link(LinkSigner([key]), path, expires_at_s)
    assert signature == base64.urlsafe_b64encode(digest).decode().rstrip("=")
