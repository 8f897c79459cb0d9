"""Held against `standardwebhooks`, the specification's own package: what it signs, we take."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from rushes.client import BadSignature, NotConfigured
from rushes.client.webhooks import verify

NOW_S = 1_795_000_000
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 24).decode()
BODY = '{"type": "video.completed", "data": {"prompt": "Wölfe"}}'


def signed(body: str = BODY, secret: str = SECRET, sent_s: int = NOW_S, message_id: str = "msg_1") -> dict[str, str]:
    signature = standardwebhooks.Webhook(secret).sign(message_id, datetime.fromtimestamp(sent_s, UTC), body)
    return {"webhook-id": message_id, "webhook-timestamp": str(sent_s), "webhook-signature": signature}


@given(
    body=st.dictionaries(st.text(), st.text() | st.integers()),
    key=st.binary(min_size=1, max_size=64),
    message_id=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
)
def test_what_the_specification_s_package_signs_is_taken(body: dict[str, object], key: bytes, message_id: str) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    text = json.dumps(body, ensure_ascii=False)
    headers = signed(text, secret, message_id=message_id)
    assert verify(text.encode(), headers, secret, now_s=NOW_S) == body


@given(position=st.integers(0, len(BODY) - 1), with_bit=st.integers(1, 127))
def test_no_changed_byte_is_believed(position: int, with_bit: int) -> None:
    changed = bytearray(BODY.encode())
    changed[position] ^= with_bit
    with pytest.raises(BadSignature):
        verify(bytes(changed), signed(), SECRET, now_s=NOW_S)


def test_a_body_may_be_text_and_headers_in_any_case() -> None:
    headers = {name.title(): value for name, value in signed().items()}
    assert verify(BODY, headers, SECRET, now_s=NOW_S)["type"] == "video.completed"


def test_a_secret_may_come_without_its_prefix() -> None:
    assert verify(BODY, signed(), SECRET.removeprefix("whsec_"), now_s=NOW_S)


def test_one_of_several_signatures_is_enough() -> None:
    headers = signed()
    headers["webhook-signature"] = f"v2,x {signed(secret=OTHER)['webhook-signature']} {headers['webhook-signature']}"
    assert verify(BODY, headers, SECRET, now_s=NOW_S)
    assert verify(BODY, headers, OTHER, now_s=NOW_S)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": signed(secret=OTHER)["webhook-signature"]},
        {"webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")},
        {"webhook-signature": signed()["webhook-signature"].removeprefix("v1,")},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ä\udcff"},
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(NOW_S + 1)},
        {"webhook-timestamp": f" {NOW_S}"},
        {"webhook-timestamp": ""},
    ],
)
def test_a_forged_header_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        verify(BODY, {**signed(), **change}, SECRET, now_s=NOW_S)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    headers = signed()
    del headers[name]
    with pytest.raises(BadSignature, match=name):
        verify(BODY, headers, SECRET, now_s=NOW_S)


@pytest.mark.parametrize(("age_s", "is_taken"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_an_old_webhook_cannot_be_played_again(age_s: int, is_taken: bool) -> None:
    if is_taken:
        assert verify(BODY, signed(), SECRET, now_s=NOW_S + age_s)
    else:
        with pytest.raises(BadSignature, match="more than 300 s"):
            verify(BODY, signed(), SECRET, now_s=NOW_S + age_s)


def test_a_signed_timestamp_that_is_no_number_is_refused() -> None:
    with pytest.raises(BadSignature):
        verify(BODY, {**signed(), "webhook-timestamp": "²"}, SECRET, now_s=NOW_S)


def test_by_default_the_clock_decides() -> None:
    with pytest.raises(BadSignature, match="300 s"):
        verify(BODY, signed(sent_s=1_000_000_000), SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***", "not base64"])
def test_a_secret_that_is_none_is_not_shown(secret: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        verify(BODY, signed(), secret, now_s=NOW_S)
    assert "***" not in str(caught.value)
