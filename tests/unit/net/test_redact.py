from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.net.redact import MASK, ORDINARY_PATH, scrub, scrub_path

TRICKY = "K3y-0123456789+/=%&\"<'\\end"
"""Every kind of escaping changes it."""
SECRET = "s3cr3t/with+odd=chars &more"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_each_form(form: str) -> None:
    shown = scrub(f"the key {form} is not valid", [SECRET])
    assert form.rstrip("=")[4:-4] not in shown
    assert shown.startswith("the key ")
    assert shown.endswith(" is not valid")


@pytest.mark.parametrize(
    "escaped",
    [
        html.escape(TRICKY),
        html.escape(html.escape(TRICKY)),
        quote(TRICKY, safe="").lower().replace("k3y", "K3y"),
        quote(quote(TRICKY, safe=""), safe=""),
        json.dumps(json.dumps({"key": TRICKY})),
        json.dumps(TRICKY).replace("/", "\\/"),
        repr(TRICKY),
        "".join(char if char.isalnum() else f"\\u{ord(char):04X}" for char in TRICKY),
        "".join(char if char.isalnum() else f"&#x{ord(char):x};" for char in TRICKY),
        "".join(char if char.isalnum() else f"&#{ord(char)};" for char in TRICKY),
    ],
)
def test_a_secret_is_masked_however_it_is_escaped(escaped: str) -> None:
    shown = scrub(f"the key {escaped} is not valid", [TRICKY])
    assert "0123456789" not in shown
    assert MASK in shown


def test_a_key_of_ours_is_masked_without_being_known() -> None:
    assert scrub("GET /jobs/rushes_live_0123456789abcdefABCDEF") == f"GET /jobs/{MASK}"


@pytest.mark.parametrize(
    "key", ["luma-api-0123456789abcdefABCDEF", f"key_{'0123456789abcdef' * 8}", f"sk-or-v1-{'0af' * 20}"]
)
def test_keys_of_providers_are_masked_without_being_known(key: str) -> None:
    assert scrub(f"refused {key}.") == f"refused {MASK}."


@given(st.text("abcdefgh0123456789-_", min_size=16, max_size=60), st.binary(max_size=9), st.binary(max_size=9))
def test_a_secret_is_masked_wherever_base64_puts_it(secret: str, before: bytes, after: bytes) -> None:
    whole = base64.b64encode(before + secret.encode() + after).decode()
    shown = scrub(f"<{whole}>", [secret])
    assert MASK in shown
    assert shown != f"<{whole}>"


@given(st.text(min_size=8), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    if secret.strip() and len(secret.strip()) >= 8 and secret.strip() not in MASK:
        shown = scrub(before + secret.strip() + after, [secret])
        assert secret.strip() not in shown.replace(MASK, "\0") or secret.strip() in MASK


def test_the_secret_parts_of_a_service_account_are_masked_line_by_line() -> None:
    account = json.dumps(
        {
            "type": "service_account",
            "private_key_id": "0123456789abcdef",
            "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n",
        }
    )
    shown = scrub("bad line kqhkiG9w0BAQEF of key 0123456789abcdef", [account])
    assert shown == f"bad line {MASK} of key {MASK}"


@pytest.mark.parametrize(
    "key",
    [
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "ya29.a0AfH6SMBexampleexampleexample",
        "sk-proj-abcdefghijklmnopqrstuvwxyz",
        "r8_abcdefghijklmnopqrstuvwxyz012345",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    ],
)
def test_whatever_is_shaped_like_a_key_is_masked(key: str) -> None:
    assert scrub(f"Incorrect API key provided: {key}.").startswith(f"Incorrect API key provided: {MASK}")


def test_a_bearer_token_is_masked() -> None:
    assert scrub("sent Authorization: Bearer abcdef1234567890") == f"sent Authorization: Bearer {MASK}"


@pytest.mark.parametrize(
    "text",
    [
        "models/veo-3.0-generate-001 is not found for API version v1beta",
        "duration: minimum 3s, maximum 15s.",
        "task-based pricing for gemini-omni-1.2-flash",
        "",
    ],
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert scrub(text, ["", "abc"]) == text


@given(st.from_regex(ORDINARY_PATH, fullmatch=True))
def test_an_ordinary_path_holds_nothing_that_is_shaped_like_a_key(path: str) -> None:
    assert scrub(path) == path


@pytest.mark.parametrize(
    "path", ["/api/v1/videos/jobs/job_7pgq4bbng09xc3y5577rba2j", "/media/job_7pgq4bbng09xc3y5577rba2j/0.mp4"]
)
def test_the_paths_that_are_asked_for_most_are_ordinary(path: str) -> None:
    assert ORDINARY_PATH.fullmatch(path)


def test_a_key_in_a_path_is_masked() -> None:
    assert scrub_path("/api/v1/videos/jobs/rushes_live_0123456789abcdefABCDEF") == f"/api/v1/videos/jobs/{MASK}"
