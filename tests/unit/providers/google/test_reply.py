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
from rushes.providers.google.reply import STATUSES, Stage, complaint_of, inline_video, progress_of, why_refused
from tests.fixtures.upstreams import gemini_scripts as scripts

KEY = "AIzaSyUnit-0123456789_abcdefghijklmnop"
URI = "https://generativelanguage.googleapis.com/v1beta/files/abc:download?alt=media"


def progress(body: dict[str, Any], *, had_video: bool = False) -> Any:
    return progress_of(body, had_video=had_video, secret=KEY)


def output(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "model_output", "content": list(content)}


def refused(status: int, body: object, retry_after_s: float | None = None) -> ProviderError:
    return why_refused(Reply(status, body, retry_after_s), model_id="veo-3.0-generate-001", secret=KEY)


def test_every_documented_status_is_in_the_table() -> None:
    assert set(STATUSES) == {
        "queued", "in_progress", "requires_action", "completed", "failed", "cancelled", "incomplete",
        "budget_exceeded", "requires_continuation",
    }  # fmt: skip


@pytest.mark.parametrize("word", [word for word, (stage, _) in STATUSES.items() if stage is Stage.WORKING])
def test_a_running_generation_reports_no_fraction(word: str) -> None:
    assert progress({"status": word}) == Working(fraction=None)


@pytest.mark.parametrize("word", [word for word, (stage, _) in STATUSES.items() if stage is Stage.ENDED])
def test_an_end_without_success_is_a_failure_with_googles_word(word: str) -> None:
    ended = progress({"status": word})
    assert isinstance(ended, Failed)
    assert isinstance(ended.error, ProviderRejected)
    assert ended.error.provider_error == word


@pytest.mark.parametrize("word", ["rendering", "", None, 3, "COMPLETED", ["completed"]])
def test_an_unknown_status_is_raised(word: object) -> None:
    with pytest.raises(UnexpectedResponse):
        progress({"status": word})


def test_the_video_of_the_last_step_counts() -> None:
    steps = [output({"type": "video", "uri": "first"}), {"type": "thought"}, output({"type": "video", "uri": URI})]
    assert progress({"status": "completed", "steps": steps}) == Done(({"version": 1, "uri": URI},))


def test_an_inline_video_never_enters_the_output() -> None:
    steps = [output({"type": "video", "data": "AAAA"})]
    assert progress({"status": "completed", "steps": steps}) == Done(({"version": 1, "inline": True},))


@pytest.mark.parametrize(
    "block", [{"type": "video"}, {"type": "video", "uri": ""}, {"type": "video", "data": None}, {"type": "image"}]
)
def test_a_video_block_without_a_video_is_none(block: dict[str, Any]) -> None:
    assert isinstance(progress({"status": "completed", "steps": [output(block)]}), Failed)


def test_completed_without_a_video_is_filtered_in_the_models_own_words() -> None:
    ended = progress({"status": "completed", "steps": [output({"type": "text", "text": "I can't do that."})]})
    assert isinstance(ended.error, ContentFiltered)
    assert "I can't do that." in ended.error.message


def test_the_models_words_are_cut_when_they_are_long() -> None:
    ended = progress({"status": "completed", "steps": [output({"type": "text", "text": "no " * 10_000})]})
    assert len(ended.error.message) < 700


def test_an_extension_without_a_video_names_the_countries() -> None:
    assert "EEA" in progress({"status": "completed"}, had_video=True).error.message
    assert "EEA" not in progress({"status": "completed"}).error.message


def test_a_video_that_was_charged_but_is_not_there_is_not_thrown_away() -> None:
    with pytest.raises(UnexpectedResponse):
        progress({"status": "completed", "usage": scripts.VIDEO_TOKENS})


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "internal", "message": "broke"}},
        {"errors": [{"code": "internal", "message": "broke"}]},
        {"steps": [{"type": "model_output", "error": {"code": "internal", "message": "broke"}}]},
    ],
)
def test_a_failure_is_read_wherever_it_stands(body: dict[str, Any]) -> None:
    error = progress({"status": "failed", **body}).error
    assert error.provider_error == "internal"
    assert "broke" in error.message


@pytest.mark.parametrize(
    "junk",
    [
        {"steps": None}, {"steps": {}}, {"steps": [None, 1, {"type": "model_output", "content": "x"}]},
        {"outputs": 3}, {"usage": []}, {"usage": {"output_tokens_by_modality": [None, {"tokens": "9"}]}},
        {"error": None}, {"errors": "x"},
    ],
)  # fmt: skip
def test_junk_in_a_reply_is_not_an_exception_of_pythons(junk: dict[str, Any]) -> None:
    assert isinstance(progress({"status": "completed", **junk}), Failed)
    assert isinstance(progress({"status": "failed", **junk}), Failed)


@pytest.mark.parametrize("body", [[], {}, None, "", 3, [None], {"error": 3}, {"error": []}, Raw("<html>")])
def test_an_error_without_an_envelope_is_known_by_its_status(body: object) -> None:
    assert complaint_of(Reply(502, body), secret=KEY).code == "HTTP 502"


def test_both_envelopes_are_read() -> None:
    assert complaint_of(Reply(400, scripts.API_KEY_INVALID[1]), secret=KEY).code == "INVALID_ARGUMENT (API_KEY_INVALID)"
    reply = Reply(400, {"error": {"code": "invalid_request", "message": "no"}})
    assert complaint_of(reply, secret=KEY).code == "invalid_request"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("bad-key", ProviderAuth),
        ("unauthorized", ProviderAuth),
        ("key-blocked", ProviderAuth),
        ("no-credit", ProviderCreditEmpty),
        ("credit-429", ProviderCreditEmpty),
        ("credit-400", ProviderCreditEmpty),
        ("quota", ProviderQuota),
        ("filtered-at-submit", ContentFiltered),
        ("safety-settings", ProviderRejected),
        ("invalid", ProviderRejected),
        ("retired-model", ProviderRejected),
        ("submit-500", ProviderUnavailable),
    ],
)
def test_each_refusal_has_its_error(script: str, error: type[ProviderError]) -> None:
    status, body, _ = scripts.SUBMIT_REFUSALS[script]
    assert type(refused(status, body)) is error


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("The prompt could not be submitted. It may violate our usage guidelines.", ContentFiltered),
        ("Request contains prohibited content.", ContentFiltered),
        ("Blocked by Responsible AI practices.", ContentFiltered),
        ("response_format.duration violates the range.", ProviderRejected),
        ("Unsupported aspect ratio.", ProviderRejected),
        ("User location is not supported for the API use.", ProviderRejected),
        ("API key expired. Please renew the API key.", ProviderAuth),
    ],
)
def test_a_400_is_told_apart_by_its_words(message: str, error: type[ProviderError]) -> None:
    assert type(refused(400, {"error": {"code": "invalid_request", "message": message}})) is error


def test_a_key_that_is_blocked_is_not_a_filtered_prompt() -> None:
    assert (
        type(refused(403, [{"error": {"code": 403, "message": "Requests from this app are blocked."}}])) is ProviderAuth
    )


def test_a_retired_model_is_named() -> None:
    assert "'veo-3.0-generate-001'" in refused(*scripts.SUBMIT_REFUSALS["retired-model"][:2]).message


@pytest.mark.parametrize(
    ("delay", "seconds"), [("34s", 34.0), ("34.5s", 34.5), ("soon", None), (34, None), ("-1s", None)]
)
def test_retry_info_says_how_long_to_wait(delay: object, seconds: float | None) -> None:
    details = [{"@type": scripts.RETRY_INFO, "retryDelay": delay}]
    assert refused(429, [{"error": {"code": 429, "details": details}}]).retry_after_s == seconds


def test_a_header_says_how_long_to_wait_where_retry_info_does_not() -> None:
    assert refused(429, {}, retry_after_s=7.0).retry_after_s == 7.0


def test_a_key_that_google_quotes_is_masked() -> None:
    error = refused(400, {"error": {"code": "invalid_request", "message": f"parameter {KEY} and {KEY[:30]} are bad"}})
    assert KEY[:20] not in error.message


@pytest.mark.parametrize("data", [None, "", "***", 3])
def test_an_inline_video_that_cannot_be_read_may_be_asked_for_again(data: object) -> None:
    with pytest.raises(ProviderUnavailable):
        list(inline_video({"status": "completed", "steps": [output({"type": "video", "data": data})]}))
