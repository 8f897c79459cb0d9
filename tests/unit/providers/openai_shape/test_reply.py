"""Every documented answer has its meaning, and no undocumented one is guessed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.domain.progress import Done, Failed, Progress, Working
from rushes.errors import ContentFiltered, ProviderCreditEmpty, ProviderError, ProviderRejected, UnexpectedResponse
from rushes.providers.failure import Reply
from rushes.providers.openai_shape.reply import (
    complaint_of,
    is_finished,
    model_ids,
    progress_of,
    url_of,
    video_of,
    why_refused,
)

VIDEO = {"id": "video_1", "object": "video", "progress": 0}


def progress(status: object, *, n: int = 1, real_progress: bool = True, **fields: Any) -> Progress:
    video = {**VIDEO, "status": status, **fields}
    return progress_of(video, server="my-gpu", n=n, real_progress=real_progress, secret="s3cret-key")


@pytest.mark.parametrize("word", ["queued", "in_progress", "processing"])
def test_a_working_word_is_working(word: str) -> None:
    assert isinstance(progress(word), Working)


@pytest.mark.parametrize("word", ["", "QUEUED", "cancelled", "succeeded", None, 3, ["queued"]])
def test_an_undocumented_word_is_raised(word: object) -> None:
    with pytest.raises(UnexpectedResponse):
        progress(word)


@pytest.mark.parametrize(
    ("said", "fraction"), [(0, 0.0), (37, 0.37), (99.5, 0.995), (101, None), (-1, None), (True, None), ("37", None)]
)
def test_progress_is_a_fraction_where_it_is_a_percentage(said: object, fraction: float | None) -> None:
    assert progress("in_progress", progress=said) == Working(fraction)


def test_progress_that_is_never_real_is_none() -> None:
    assert progress("in_progress", progress=50, real_progress=False) == Working(None)


def test_one_output_is_enough_where_one_was_asked_for() -> None:
    assert progress("completed", num_outputs=3) == Done(({"version": 1, "index": 0},))


def test_each_output_has_its_index() -> None:
    ended = progress("completed", n=2, urls=["https://a.example/0", "https://a.example/1"])
    assert ended == Done(({"version": 1, "index": 0}, {"version": 1, "index": 1}))


def test_missing_outputs_are_told() -> None:
    ended = progress("completed", n=3, num_outputs=1)
    assert ended == Done(({"version": 1, "index": 0},), "'my-gpu' made 1 of 3 videos")


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"code": "moderation_blocked", "message": ""}, ContentFiltered, "moderation_blocked"),
        ({"code": 400, "message": "Guardrail blocked the prompt."}, ContentFiltered, "400"),
        ({"code": 500, "message": "CUDA out of memory"}, ProviderRejected, "500"),
        ({"message": "boom"}, ProviderRejected, "failed"),
        ("boom", ProviderRejected, "failed"),
        (None, ProviderRejected, "failed"),
    ],
)
def test_a_failure_says_why(error: object, kind: type[ProviderError], code: str) -> None:
    ended = progress("failed", error=error)
    assert isinstance(ended, Failed)
    assert type(ended.error) is kind
    assert ended.error.provider_error == code


def test_a_failures_words_hold_no_secret() -> None:
    ended = progress("failed", error={"message": "bad key s3cret-key"})
    assert isinstance(ended, Failed)
    assert "s3cret-key" not in ended.error.message


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, {**VIDEO, "status": "queued"}, True),
        (500, {**VIDEO, "status": "failed"}, True),
        (400, {**VIDEO, "status": "failed"}, True),
        (503, {**VIDEO, "status": "in_progress"}, False),
        (500, {"error": {"message": "x"}}, False),
        (200, {"error": {"message": "x"}}, False),
        (200, [], False),
        (404, {"detail": "Video not found"}, False),
    ],
)
def test_only_a_failed_video_may_come_with_an_error_status(status: int, body: object, found: bool) -> None:
    assert (video_of(Reply(status, body)) is not None) is found


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c"}}, "c", "m"),
        ({"error": {"message": "m", "type": "t", "code": None}}, "t", "m"),
        ({"error": "m"}, "HTTP 400", "m"),
        ({"detail": "m"}, "HTTP 400", "m"),
        ({"detail": [{"loc": ["body", "size"], "msg": "m"}]}, "HTTP 400", "body.size: m"),
        ({"object": "error", "message": "m", "code": 404}, "404", "m"),
        ([], "HTTP 400", ""),
    ],
)
def test_a_complaint_is_read_from_each_envelope(body: object, code: str, message: str) -> None:
    complaint = complaint_of(Reply(400, body), secret="")
    assert (complaint.code, complaint.message) == (code, message)


def test_a_quota_that_is_credit_is_told_apart_from_a_rate() -> None:
    body = {"error": {"code": "insufficient_quota", "message": "m"}}
    refused = why_refused(Reply(429, body), server="my-gpu", model_id="wan", secret="")
    assert isinstance(refused, ProviderCreditEmpty)


@pytest.mark.parametrize(
    ("video", "index", "url"),
    [
        ({"url": "u"}, 0, "u"),
        ({"url": "u"}, 1, None),
        ({"url": "u", "urls": ["a", "b"]}, 1, "b"),
        ({"url": None, "urls": None}, 0, None),
        ({"urls": [7]}, 0, None),
    ],
)
def test_the_url_of_an_output(video: dict[str, object], index: int, url: str | None) -> None:
    assert url_of(video, index) == url


def test_models_are_listed_once_and_only_by_usable_ids() -> None:
    ids = ["a", "b/c", "a", "", "d e", 7, None, "x" * 201, "new\nline"]
    assert model_ids(Reply(200, {"data": [{"id": name} for name in ids] + ["no"]})) == ("a", "b/c")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "status", "error", "detail", "code", "message", "urls", "data", "loc", "num_outputs"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.integers(200, 599))
def test_no_answer_breaks_the_reader(body: object, status: int) -> None:
    reply = Reply(status, body)
    complaint_of(reply, secret="k")
    model_ids(reply)
    why_refused(reply, server="my-gpu", model_id="wan", secret="k")
    video = video_of(reply)
    if video is not None:
        is_finished(video)
        url_of(video, 0)
        with suppress(UnexpectedResponse):
            progress_of(video, server="my-gpu", real_progress=True, secret="k")
