from __future__ import annotations

from typing import Any

import pytest

from rushes.domain.progress import Done, Failed, Working
from rushes.errors import (
    ContentFiltered,
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderError,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
)
from rushes.providers.failure import Raw, Reply
from rushes.providers.google.veo_reply import (
    CATEGORIES,
    ENDINGS,
    categories_in,
    operation_name,
    progress_of,
    why_refused,
)
from tests.fixtures.upstreams import vertex_scripts as scripts

NAME = "projects/p-1/locations/us-central1/publishers/google/models/veo-3.1-generate-001/operations/9f00-1"
TOKEN = "ya29.c.unit-0123456789_abcdefghijklmnop"


def progress(body: dict[str, Any], n: int | None = 1) -> Any:
    return progress_of(body, n=n, secret=TOKEN)


def done(n: int | None = 1, **response: Any) -> Any:
    return progress({"name": NAME, "done": True, "response": response}, n)


def ended(code: object, message: object = "because") -> ProviderError:
    failed = progress({"done": True, "error": {"code": code, "message": message}})
    assert isinstance(failed, Failed)
    return failed.error


def refused(status: int, body: object, retry_after_s: float | None = None) -> ProviderError:
    return why_refused(Reply(status, body, retry_after_s), model_id="veo-3.1", project="p-1", secret=TOKEN)


@pytest.mark.parametrize(
    "body", [{"name": NAME}, {"name": NAME, "done": False}, {"done": False}, {"name": NAME, "metadata": {}}]
)
def test_an_operation_without_done_is_running(body: dict[str, Any]) -> None:
    assert progress(body) == Working(fraction=None)


@pytest.mark.parametrize(
    "body", [{}, {"metadata": {}}, {"name": NAME, "done": "true"}, {"name": NAME, "done": 1}, {"name": 3}, {"done": {}}]
)
def test_what_is_no_operation_is_raised(body: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedResponse):
        progress(body)


@pytest.mark.parametrize(
    "response",
    [{}, {"videos": []}, {"videos": None}, {"videos": "x"}, {"videos": [None, {}, {"gcsUri": ""}, {"gcsUri": 3}]},
     {"raiMediaFilteredCount": 0}, {"raiMediaFilteredCount": True}, {"raiMediaFilteredReasons": "x"}],
)  # fmt: skip
def test_done_without_a_video_or_a_reason_is_not_thrown_away(response: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedResponse):
        done(**response)


def test_videos_in_a_bucket_are_known_by_their_uri() -> None:
    assert done(videos=[{"gcsUri": "gs://b/o.mp4"}]) == Done(({"version": 1, "uri": "gs://b/o.mp4"},))


def test_videos_inside_the_reply_are_known_by_their_number() -> None:
    videos = [{"bytesBase64Encoded": "0"}, {"bytesBase64Encoded": ""}, {"bytesBase64Encoded": "2"}]
    assert done(2, videos=videos) == Done(({"version": 1, "inline": 0}, {"version": 1, "inline": 2}))


@pytest.mark.parametrize(
    ("n", "response", "missing"),
    [
        (2, {}, "Google delivered 1 of 2 videos and gave no reason"),
        (1, {}, None),
        (None, {}, None),
        (1, {"raiMediaFilteredCount": 1}, None),
        (2, {"raiMediaFilteredCount": 1}, "Google's safety filter held back 1 of 2 videos; 1 came"),
        (None, {"raiMediaFilteredCount": 2}, "Google's safety filter held back 2 of 3 videos; 1 came"),
        (
            2,
            {"raiMediaFilteredReasons": ["No. Support codes: 58061214"]},
            "Google's safety filter held back 1 of 2 videos (child); 1 came: 'No. Support codes: 58061214'",
        ),
    ],
)
def test_what_is_missing_is_told(n: int | None, response: dict[str, Any], missing: str | None) -> None:
    assert done(n, videos=[{"gcsUri": "gs://b/o"}], **response).missing == missing


def test_every_reason_counts_and_the_message_stays_short() -> None:
    reasons = ["long " * 1000, "x Support codes: 61493863", "y Support codes: 58061214, 99999999"]
    error = done(raiMediaFilteredCount=3, raiMediaFilteredReasons=reasons).error
    assert isinstance(error, ContentFiltered)
    assert "(violence, child, other)" in error.message
    assert len(error.message) < 1000


@pytest.mark.parametrize(
    ("text", "categories"),
    [
        ("Support codes: 58061214", ("child",)),
        ("Support codes: 58061214, 89371032", ("child", "prohibited content")),
        ("support code 61493863. Support codes: 56562880", ("violence",)),
        ("Support codes: 12345678", ("other",)),
        ("code 58061214", ()),
        ("", ()),
    ],
)
def test_support_codes_have_categories(text: str, categories: tuple[str, ...]) -> None:
    assert categories_in(text) == categories


def test_no_support_code_stands_for_two_things() -> None:
    # Twelve categories share these codes; a code listed twice would be counted once.
    assert (len(CATEGORIES), len(set(CATEGORIES.values()))) == (21, 12)


@pytest.mark.parametrize("code", ENDINGS)
def test_each_rpc_code_ends_the_generation_under_its_name(code: int) -> None:
    error = ended(code)
    assert error.provider_error == f"{ENDINGS[code][0]} ({code})"
    assert "because" in error.message
    assert not error.retryable
    assert isinstance(error, ProviderAuth if code in (7, 16) else ProviderRejected)


@pytest.mark.parametrize("code", [99, 0, -1, None, "13", 13.5, [13]])
def test_an_rpc_code_that_does_not_exist_still_ends_it(code: object) -> None:
    error = ended(code)
    assert isinstance(error, ProviderRejected)
    assert error.provider_error


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (3, scripts.BLOCKED, ContentFiltered),
        (3, "It violates our usage guidelines.", ContentFiltered),
        (13, "Something. Support codes: 58061214", ContentFiltered),
        (13, "The request was blocked by an internal queue.", ProviderRejected),
        (3, "Unsupported aspect ratio.", ProviderRejected),
        (3, None, ProviderRejected),
        (3, {"a": 1}, ProviderRejected),
    ],
)
def test_a_filtered_prompt_is_told_from_a_bad_argument(code: int, message: object, error: type[ProviderError]) -> None:
    assert type(ended(code, message)) is error


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("unauthorized", ProviderAuth),
        ("no-role", ProviderAuth),
        ("api-off", ProviderAuth),
        ("billing-off", ProviderCreditEmpty),
        ("quota", ProviderQuota),
        ("filtered-at-submit", ContentFiltered),
        ("invalid", ProviderRejected),
        ("retired-model", ProviderRejected),
        ("submit-500", ProviderUnavailable),
        ("submit-redirect", ProviderRejected),
    ],
)
def test_each_refusal_has_its_error(script: str, error: type[ProviderError]) -> None:
    status, body, _ = scripts.SUBMIT_REFUSALS[script]
    assert type(refused(status, body)) is error


@pytest.mark.parametrize("body", [[], {}, None, "", 3, [None], {"error": 3}, {"error": []}, Raw("<html>")])
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 429, 500])
def test_a_refusal_without_an_envelope_has_a_code(status: int, body: object) -> None:
    assert refused(status, body).provider_error == f"HTTP {status}"


@pytest.mark.parametrize(
    "name",
    [
        NAME,
        "projects/123456789/locations/global/publishers/google/models/veo-3.1-fast-generate-001/operations/a-b",
        "projects/example.com:films/locations/europe-west4/publishers/google/models/m@001/operations/123",
    ],
)
def test_an_operation_has_a_name(name: str) -> None:
    assert operation_name(Reply(200, {"name": name})) == name


@pytest.mark.parametrize(
    "body",
    [
        {}, [], None, {"name": None}, {"name": ""}, {"name": "operations/1"}, {"name": NAME + "/../x"},
        {"name": NAME.replace("us-central1", "evil.example")}, {"name": NAME + "?x=1"}, {"name": NAME + "\n"},
    ],
)  # fmt: skip
def test_what_leads_elsewhere_is_no_name(body: object) -> None:
    assert operation_name(Reply(200, body)) is None


def test_a_token_that_google_quotes_is_masked() -> None:
    assert TOKEN not in refused(400, {"error": {"code": 400, "message": f"token {TOKEN} is odd"}}).message
    assert TOKEN not in ended(13, f"token {TOKEN} is odd").message
