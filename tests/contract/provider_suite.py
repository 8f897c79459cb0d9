"""The one suite that every provider passes. A provider's harness names its model, its options and its fake's scripts.

What a harness leaves empty is skipped: a provider that runs here has no key to be refused and no wire to break.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import pytest

from rushes.catalogue.model import Model
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.errors import (
    ContentFiltered,
    MediaError,
    OutputLost,
    ProviderAuth,
    ProviderError,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
    UnsupportedOption,
)
from rushes.ids import new_id
from rushes.net.client import HttpClient, TimeLimits
from rushes.providers.base import Credential, Provider
from rushes.providers.http import CallLimits
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.film import tiny_mp4
from tests.fixtures.upstreams.server import Recorded, Stranger

MEDIA_BYTES = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3

_SHORT = TimeLimits(connect_s=10, read_s=2, total_s=30)
SHORT_LIMITS = CallLimits(submit=_SHORT, poll=_SHORT, download=_SHORT)
"""Short, because the fakes play silence too, and long enough for a fake that shares a busy machine."""


@dataclass(frozen=True, slots=True)
class Option:
    """One portable option: how it is given, and where (a path) and as what it must stand in the body."""

    given: dict[str, Any]
    path: tuple[str | int, ...]
    on_the_wire: Any


@dataclass(frozen=True, slots=True)
class Scripts:
    """The fake's scripts that play what the suite asks for, by the fake's own names."""

    well: Sequence[str] = ()
    filtered: Sequence[str] = ()
    failed: Sequence[str] = ()
    unknown_status: Sequence[str] = ()
    statuses: dict[str, type[Progress]] = field(default_factory=dict)
    """Each documented way to end, and what it means."""
    refused_key: Sequence[str] = ()
    refused_quota: Sequence[str] = ()
    refused_credit: Sequence[str] = ()
    refused_request: Sequence[str] = ()
    refused_content: Sequence[str] = ()
    submit_unknown: Sequence[str] = ()
    """Accepted or not: the answer does not say."""
    poll_accident: Sequence[str] = ()
    """One poll goes wrong, the next ones are well."""
    download_accident: Sequence[str] = ()
    """Another try may succeed."""
    download_expired: Sequence[str] = ()
    """The link no longer works, and a poll gives a fresh one."""
    download_lost: Sequence[str] = ()
    download_elsewhere: Sequence[str] = ()
    """The bytes are at a stranger's host."""
    cancel_too_late: Sequence[str] = ()


class Harness(ABC):
    """What the suite needs to know of one provider."""

    provider: Provider
    model: Model
    credential: Credential
    film: bytes | None = None
    """What the fake delivers; None if the provider draws something of its own."""
    scripts = Scripts()
    options: Sequence[Option] = ()
    undeclared: Sequence[dict[str, Any]] = ()
    """Options that the provider has no words for."""
    polls_until_done = 5
    attempt_id = ""
    """Of the last submission."""

    @abstractmethod
    def play(self, script: str) -> None:
        """Play this script for the next submission."""

    def submitted(self) -> list[Any]:
        """The bodies of all submissions so far, parsed."""
        return []

    def leaks(self) -> list[str]:
        """Where else than at the provider a credential was seen."""
        return []

    def unreachable(self) -> Provider:
        """The provider at an address where nobody listens; only asked for where a submit can go unanswered."""
        raise NotImplementedError

    def request(self, **options: Any) -> VideoRequest:
        """A request that the model takes."""
        return replace(VideoRequest(prompt="a red kite over dunes"), **options)

    async def read_media(self, media: InputMedia) -> bytes:
        """The bytes of any input."""
        del media
        return MEDIA_BYTES

    async def submit(self, request: VideoRequest | None = None, provider: Provider | None = None) -> Submission:
        """Submit as the worker does, and keep the handle as the database does."""
        # A new one each time: where a token makes a submit repeatable, the same one would find the job before.
        self.attempt_id = new_id("att")
        submission = await (provider or self.provider).submit(
            self.model,
            request or self.request(),
            attempt_id=self.attempt_id,
            credential=self.credential,
            read_media=self.read_media,
        )
        return replace(submission, handle=json.loads(json.dumps(submission.handle)))

    async def finish(self, handle: Handle) -> Done | Failed:
        """Poll until it has ended, looking past polls that go wrong."""
        for _ in range(self.polls_until_done):
            try:
                progress = await self.provider.poll(handle, credential=self.credential)
            except (ProviderUnavailable, ProviderQuota):
                continue
            if not isinstance(progress, Working):
                return progress
        raise AssertionError("it never ends")

    def is_film(self, content: bytes) -> bool:
        """Whether this is what was asked for, whole."""
        return content == self.film if self.film is not None else content[4:8] == b"ftyp"

    async def outputs(self, script: str) -> tuple[Handle, tuple[Output, ...]]:
        """Play a script to its good end."""
        self.play(script)
        submission = await self.submit()
        progress = submission.progress if isinstance(submission.progress, Done) else None
        progress = progress or await self.finish(submission.handle)  # type: ignore[assignment]
        assert isinstance(progress, Done), progress
        return submission.handle, tuple(json.loads(json.dumps(output)) for output in progress.outputs)

    async def fetch(self, handle: Handle, output: Output) -> bytes:
        """The bytes of one output."""
        chunks = [chunk async for chunk in self.provider.fetch(handle, output, credential=self.credential)]
        assert all(0 < len(chunk) <= 1024 * 1024 for chunk in chunks)
        return b"".join(chunks)


class Fake(Protocol):
    """What the suite needs of a fake upstream (tests/fixtures/upstreams)."""

    base_url: str
    requests: list[Recorded]
    stranger: Stranger

    def play(self, script: str) -> None:
        """Play this script for the next submission."""


U = TypeVar("U", bound=Fake)


class WireHarness(Harness, Generic[U]):
    """A provider behind HTTP with one key, and the fake that plays it."""

    def __init__(self, upstream: U, client: HttpClient, model: Model, key: str) -> None:
        self.upstream = upstream
        self.client = client
        self.film = tiny_mp4()
        self.credential = Credential(kind="api_key", secret=key)
        self.model = model
        self.provider = self.at(upstream.base_url)

    @abstractmethod
    def at(self, base_url: str) -> Provider:
        """The provider at this address."""

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        return [recorded.json for recorded in self.upstream.requests if recorded.method == "POST"]

    def leaks(self) -> list[str]:
        return self.upstream.stranger.leaks

    def unreachable(self) -> Provider:
        return self.at("http://127.0.0.1:1")


def shipped(provider: str, model_id: str) -> Model:
    """The catalogue's own entry of a model."""
    found = shipped_catalogue().find(provider, model_id)
    assert found is not None
    return found


def image(role: Role) -> InputMedia:
    """An input image in this role."""
    return InputMedia(role, "inputs/image", "image/png", len(MEDIA_BYTES), "0" * 64)


class ProviderContract:
    """Subclass it with a `harness` fixture."""

    async def test_a_generation_ends_with_a_video(self, harness: Harness) -> None:
        for script in harness.scripts.well:
            handle, outputs = await harness.outputs(script)
            assert len(outputs) == 1, script
            assert harness.is_film(await harness.fetch(handle, outputs[0])), script

    async def test_polling_again_after_the_end_says_the_same(self, harness: Harness) -> None:
        for script in harness.scripts.well[:1]:
            handle, outputs = await harness.outputs(script)
            again = await harness.provider.poll(handle, credential=harness.credential)
            assert again == Done(outputs)

    async def test_fetching_twice_gives_the_same_bytes(self, harness: Harness) -> None:
        for script in harness.scripts.well[:1]:
            handle, (output,) = await harness.outputs(script)
            assert await harness.fetch(handle, output) == await harness.fetch(handle, output)

    async def test_a_handle_holds_no_secret_and_no_media(self, harness: Harness) -> None:
        for script in harness.scripts.well:
            handle, outputs = await harness.outputs(script)
            kept = json.dumps([handle, outputs])
            assert not harness.credential.secret or harness.credential.secret not in kept
            assert len(kept) < 2000

    async def test_a_handle_and_an_output_carry_a_version(self, harness: Harness) -> None:
        for script in harness.scripts.well:
            handle, outputs = await harness.outputs(script)
            assert all(isinstance(kept.get("version"), int) for kept in (handle, *outputs)), script

    async def test_declared_options_reach_the_wire(self, harness: Harness) -> None:
        for option in harness.options:
            await harness.submit(harness.request(**option.given))
            found: Any = harness.submitted()[-1]
            for step in option.path:
                found = found[step]
            assert type(found) is type(option.on_the_wire), option
            assert found == option.on_the_wire, option

    async def test_an_option_left_out_does_not_reach_the_wire(self, harness: Harness) -> None:
        if not harness.options:
            pytest.skip("no wire")
        await harness.submit()
        body = harness.submitted()[-1]
        for option in harness.options:
            found: Any = body
            for step in option.path:
                if isinstance(found, dict) and step not in found:
                    break
                found = found[step]
            else:
                assert found != option.on_the_wire, option

    async def test_an_option_without_words_is_refused_before_any_call(self, harness: Harness) -> None:
        for given in harness.undeclared:
            before = len(harness.submitted())
            with pytest.raises((ProviderRejected, UnsupportedOption)) as caught:
                await harness.submit(harness.request(**given))
            assert next(iter(given)) in caught.value.message
            assert len(harness.submitted()) == before

    async def test_every_documented_end_has_its_meaning(self, harness: Harness) -> None:
        for script, meaning in harness.scripts.statuses.items():
            harness.play(script)
            submission = await harness.submit()
            assert isinstance(await harness.finish(submission.handle), meaning), script

    async def test_an_unknown_status_is_raised_and_never_guessed(self, harness: Harness) -> None:
        for script in harness.scripts.unknown_status:
            harness.play(script)
            submission = await harness.submit()
            with pytest.raises(UnexpectedResponse):
                await harness.finish(submission.handle)

    async def test_a_filtered_result_is_content_filtered(self, harness: Harness) -> None:
        for script in harness.scripts.filtered:
            harness.play(script)
            ended = await harness.finish((await harness.submit()).handle)
            assert isinstance(ended, Failed), script
            assert isinstance(ended.error, ContentFiltered), script

    async def test_a_failure_carries_the_providers_own_code(self, harness: Harness) -> None:
        for script in harness.scripts.failed:
            harness.play(script)
            ended = await harness.finish((await harness.submit()).handle)
            assert isinstance(ended, Failed), script
            assert ended.error.provider_error, script
            assert not ended.error.retryable, script

    @pytest.mark.parametrize(
        ("kind", "error", "retryable"),
        [
            ("refused_key", ProviderAuth, False),
            ("refused_quota", ProviderQuota, True),
            ("refused_credit", ProviderQuota, False),
            ("refused_request", ProviderRejected, False),
            ("refused_content", ContentFiltered, False),
        ],
    )
    async def test_a_refused_submit_is_an_error_of_ours(
        self, harness: Harness, kind: str, error: type[ProviderError], retryable: bool
    ) -> None:
        for script in getattr(harness.scripts, kind):
            harness.play(script)
            with pytest.raises(error) as caught:
                await harness.submit()
            assert caught.value.retryable is retryable, script
            assert caught.value.provider_error, script
            assert len(caught.value.message) < 1000, script

    async def test_a_submit_without_a_clear_answer_may_have_been_accepted(self, harness: Harness) -> None:
        for script in harness.scripts.submit_unknown:
            harness.play(script)
            before = len(harness.submitted())
            with pytest.raises(ProviderUnavailable) as caught:
                await harness.submit()
            assert caught.value.accepted is None, script
            assert len(harness.submitted()) == before + 1, f"{script}: the adapter must not submit again"

    async def test_a_submit_that_reached_nobody_was_surely_not_accepted(self, harness: Harness) -> None:
        if not harness.scripts.submit_unknown:
            pytest.skip("no wire")
        with pytest.raises(ProviderUnavailable) as caught:
            await harness.submit(provider=harness.unreachable())
        assert caught.value.accepted is False

    async def test_a_poll_that_goes_wrong_is_raised_and_the_next_one_is_well(self, harness: Harness) -> None:
        for script in harness.scripts.poll_accident:
            harness.play(script)
            submission = await harness.submit()
            with pytest.raises((ProviderUnavailable, ProviderQuota, UnexpectedResponse)) as caught:
                await harness.provider.poll(submission.handle, credential=harness.credential)
            assert caught.value.retryable, script
            assert isinstance(await harness.finish(submission.handle), Done), script

    async def test_a_broken_download_can_be_tried_again(self, harness: Harness) -> None:
        for script in harness.scripts.download_accident:
            handle, (output,) = await harness.outputs(script)
            with pytest.raises(ProviderUnavailable):
                await harness.fetch(handle, output)

    async def test_an_expired_link_is_renewed_by_a_poll(self, harness: Harness) -> None:
        for script in harness.scripts.download_expired:
            handle, (output,) = await harness.outputs(script)
            with pytest.raises((ProviderUnavailable, OutputLost)):
                await harness.fetch(handle, output)
            renewed = await harness.finish(handle)
            assert isinstance(renewed, Done)
            assert harness.is_film(await harness.fetch(handle, renewed.outputs[0]))

    async def test_a_result_that_is_gone_is_lost(self, harness: Harness) -> None:
        for script in harness.scripts.download_lost:
            handle, (output,) = await harness.outputs(script)
            with pytest.raises(MediaError) as caught:
                await harness.fetch(handle, output)
            assert not caught.value.retryable, script

    async def test_no_credential_reaches_a_stranger(self, harness: Harness) -> None:
        for script in harness.scripts.download_elsewhere:
            handle, (output,) = await harness.outputs(script)
            assert harness.is_film(await harness.fetch(handle, output)), script
        assert harness.leaks() == []

    async def test_cancel_matches_its_declaration(self, harness: Harness) -> None:
        submission = await harness.submit()
        if harness.model.can_cancel:
            await harness.provider.cancel(submission.handle, credential=harness.credential)
            ended = await harness.provider.poll(submission.handle, credential=harness.credential)
            assert not isinstance(ended, Done)
        else:
            with pytest.raises(UnsupportedOption):
                await harness.provider.cancel(submission.handle, credential=harness.credential)

    async def test_a_cancel_that_comes_too_late_is_an_error(self, harness: Harness) -> None:
        for script in harness.scripts.cancel_too_late:
            harness.play(script)
            submission = await harness.submit()
            with pytest.raises(ProviderError):
                await harness.provider.cancel(submission.handle, credential=harness.credential)

    async def test_no_secret_shows_in_errors_or_logs(self, harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
        if not harness.credential.secret:
            pytest.skip("no secret")
        scripts = harness.scripts
        with caplog.at_level(logging.DEBUG):
            for script in (*scripts.refused_key, *scripts.refused_request, *scripts.submit_unknown):
                harness.play(script)
                with pytest.raises(ProviderError) as caught:
                    await harness.submit()
                error: BaseException | None = caught.value
                while error is not None:
                    shown = f"{error!s} {error!r} {vars(error)!r}"
                    assert harness.credential.secret not in shown, script
                    error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        assert harness.credential.secret not in caplog.text
        assert harness.credential.secret not in repr(harness.credential)
