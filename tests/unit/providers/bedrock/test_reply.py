from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.domain.progress import Done, Failed, Working
from rushes.errors import (
    ContentFiltered,
    OutputLost,
    ProviderAuth,
    ProviderError,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
)
from rushes.providers.bedrock.reply import (
    Refusal,
    place_of,
    progress_of,
    why_not_fetched,
    why_not_polled,
    why_refused,
)

FOLDER = {"s3OutputDataConfig": {"s3Uri": "s3://films/rushes/abc123def456"}}


def refused(name: str, message: str = "", status: int = 400) -> ProviderError:
    return why_refused(
        Refusal(name, message, status, retry_after_s=3), model_id="luma.ray-v2:0", region="us-west-2", secret="s3cr3t!!"
    )


@pytest.mark.parametrize(
    ("name", "message", "status", "error"),
    [
        ("UnrecognizedClientException", "", 403, ProviderAuth),
        ("ExpiredTokenException", "", 403, ProviderAuth),
        ("InvalidSignatureException", "", 403, ProviderAuth),
        ("AccessDeniedException", "You don't have access to the model", 403, ProviderAuth),
        ("ThrottlingException", "", 429, ProviderQuota),
        ("ServiceQuotaExceededException", "", 400, ProviderQuota),
        ("ConflictException", "", 400, ProviderRejected),
        ("ResourceNotFoundException", "", 404, ProviderRejected),
        ("ValidationException", "Malformed input request", 400, ProviderRejected),
        ("ValidationException", "The provided model identifier is invalid.", 400, ProviderRejected),
        ("ValidationException", "blocked by our content filters", 400, ContentFiltered),
        ("InternalServerException", "", 500, ProviderUnavailable),
        ("ServiceUnavailableException", "", 503, ProviderUnavailable),
        ("SomethingNew", "", 403, ProviderAuth),
        ("SomethingNew", "", 500, ProviderUnavailable),
        ("", "", 0, ProviderUnavailable),
    ],
)
def test_a_refusal_is_an_error_of_ours(name: str, message: str, status: int, error: type[ProviderError]) -> None:
    found = refused(name, message, status)
    assert type(found) is error
    assert found.provider_error == name or not name


def test_a_server_error_leaves_open_whether_it_was_accepted() -> None:
    found = refused("InternalServerException", status=500)
    assert isinstance(found, ProviderUnavailable)
    assert found.accepted is None


def test_a_quota_says_how_long_to_wait() -> None:
    assert refused("ThrottlingException", status=429).retry_after_s == 3


def test_a_dead_model_is_named_with_its_region() -> None:
    message = refused("ResourceNotFoundException", "reached the end of its life", 404).message
    assert "'luma.ray-v2:0' in us-west-2" in message


def test_names_of_the_account_and_secrets_are_not_shown() -> None:
    message = refused("AccessDeniedException", "arn:aws:iam::123456789012:user/ann with s3cr3t!! may not", 403).message
    assert "ann" not in message
    assert "s3cr3t!!" not in message


def test_the_three_statuses_have_their_meaning() -> None:
    assert progress_of({"status": "InProgress"}, secret="") == Working()
    assert progress_of({"status": "Completed", "outputDataConfig": FOLDER}, secret="") == Done(
        ({"version": 1, "uri": "s3://films/rushes/abc123def456/output.mp4"},)
    )
    assert isinstance(progress_of({"status": "Failed"}, secret=""), Failed)


@given(st.none() | st.integers() | st.text().filter(lambda word: word not in ("InProgress", "Completed", "Failed")))
def test_any_other_status_is_raised(status: object) -> None:
    with pytest.raises(UnexpectedResponse):
        progress_of({"status": status}, secret="")


@pytest.mark.parametrize(
    "config", [None, {}, {"s3OutputDataConfig": {}}, {"s3OutputDataConfig": {"s3Uri": "https://x"}}]
)
def test_a_finished_one_without_a_place_is_raised(config: object) -> None:
    with pytest.raises(UnexpectedResponse):
        progress_of({"status": "Completed", "outputDataConfig": config}, secret="")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("The generated video has been blocked by our content filters.", ContentFiltered),
        ("It did not pass moderation.", ContentFiltered),
        ("An internal error occurred.", ProviderRejected),
        (None, ProviderRejected),
    ],
)
def test_a_failure_is_told_from_a_filter_by_its_words(message: str | None, error: type[ProviderError]) -> None:
    ended = progress_of({"status": "Failed", "failureMessage": message}, secret="")
    assert isinstance(ended, Failed)
    assert type(ended.error) is error
    assert ended.error.provider_error == "Failed"


def test_an_unknown_invocation_has_ended_and_an_expired_token_has_not() -> None:
    gone = why_not_polled(Refusal("ResourceNotFoundException", "", 404), secret="")
    assert isinstance(gone, Failed)
    assert isinstance(why_not_polled(Refusal("ExpiredTokenException", "", 403), secret=""), ProviderUnavailable)
    assert isinstance(why_not_polled(Refusal("ThrottlingException", "", 429), secret=""), ProviderQuota)


def test_only_a_missing_object_is_lost() -> None:
    assert isinstance(why_not_fetched(Refusal("NoSuchKey", "", 404), bucket="b", secret=""), OutputLost)
    for name, status in (("AccessDenied", 403), ("SlowDown", 503), ("InternalError", 500)):
        found = why_not_fetched(Refusal(name, "", status), bucket="b", secret="")
        assert isinstance(found, ProviderUnavailable)
        assert found.retryable


def test_a_place_is_a_bucket_and_a_key() -> None:
    assert place_of({"uri": "s3://films/rushes/abc/output.mp4"}) == ("films", "rushes/abc/output.mp4")


@pytest.mark.parametrize("uri", [None, "s3://films", "https://films/a", "s3://FILMS/a"])
def test_anything_else_is_no_place(uri: object) -> None:
    with pytest.raises(ProviderUnavailable):
        place_of({"uri": uri})
