"""Luma Ray2 on AWS Bedrock, through asynchronous invocations.

https://docs.aws.amazon.com/bedrock/latest/APIReference (*StartAsyncInvoke*, *GetAsyncInvoke*), API of 2023-09-30, and
the Bedrock user guide (*Luma AI Ray2*), checked 2026-11-22. Quirks:

- The attempt's id is Bedrock's `clientRequestToken`: submitting again under it finds what was accepted before.
- There are three statuses only, no progress and no cancel.
- What a safety filter refuses has no code of its own; a ValidationException or a failure says so in words.
- The result is a file in the account's bucket, in a folder whose URI ends with the invocation's id already.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Final

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Failed, Handle, Progress, Submission
from rushes.domain.request import VideoRequest
from rushes.errors import ProviderRejected, ProviderUnavailable, UnexpectedResponse
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.bedrock.account import account_of
from rushes.providers.bedrock.calls import (
    AwsCalls,
    AwsRefusedError,
    AwsSilentError,
    AwsUnreadableError,
    AwsUnsayableError,
)
from rushes.providers.bedrock.payload import frames_of, invocation
from rushes.providers.bedrock.reply import place_of, progress_of, why_not_fetched, why_not_polled, why_refused
from rushes.providers.failure import said
from rushes.providers.http import DOWNLOAD_LIMIT_BYTES, CallLimits

HANDLE_VERSION: Final = 1


class Bedrock(Provider):
    """Bedrock in each account's own region, or at `base_url`; results from S3, or from `storage_url`.

    `limit_bytes` is the largest result it fetches.
    """

    name = "bedrock"
    # Another account's invocation is denied to a good key too.
    no_generation = None

    def __init__(
        self,
        base_url: str | None = None,
        storage_url: str | None = None,
        *,
        limit_bytes: int = DOWNLOAD_LIMIT_BYTES,
        limits: CallLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._calls = AwsCalls(base_url, storage_url, limits=limits, clock=clock)
        self._limit_bytes = limit_bytes
        # While boto3 signs a body it holds it several times over, and two images may have 25 MB each.
        self._with_images = asyncio.Semaphore(1)

    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        """Start one invocation, or find the one that was started under this attempt before."""
        account = account_of(credential)
        frames = frames_of(request)
        async with AsyncExitStack() as holding:
            if frames:
                await holding.enter_async_context(self._with_images)
            images = {frame: (item, await read_media(item)) for frame, item in frames.items()}
            arguments = invocation(model.id, request, images, attempt_id=attempt_id, bucket=account.bucket)
            try:
                answer = await self._calls.bedrock(account, "start_async_invoke", arguments)
            except AwsRefusedError as exc:
                raise why_refused(
                    exc.refusal, model_id=model.id, region=account.region, secret=credential.secret
                ) from exc
            except AwsUnsayableError as exc:
                words = said(exc, secret=credential.secret)
                raise ProviderRejected(f"boto3 cannot send the request: '{words}'", provider_error="invalid") from exc
            except AwsSilentError as exc:
                known = "nothing was submitted" if exc.sent is False else "whether it was accepted is not known"
                raise ProviderUnavailable(f"Bedrock {exc.what}; {known}", accepted=exc.sent) from exc
        arn = answer.get("invocationArn")
        if not isinstance(arn, str) or not arn:
            raise ProviderUnavailable(
                "Bedrock answered the submission without an invocation; whether it was accepted is not known",
                accepted=None,
            )
        return Submission(self.handle_for(arn), provider_video_id=arn)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """Look at the invocation. One that Bedrock does not know has ended."""
        account = account_of(credential)
        try:
            answer = await self._calls.bedrock(account, "get_async_invoke", {"invocationArn": str(handle["arn"])})
        except AwsRefusedError as exc:
            found = why_not_polled(exc.refusal, secret=credential.secret)
            if isinstance(found, Failed):
                return found
            raise found from exc
        except AwsUnreadableError as exc:
            raise UnexpectedResponse(f"Bedrock {exc.what} when it was polled") from exc
        except (AwsSilentError, AwsUnsayableError) as exc:
            raise ProviderUnavailable(f"Bedrock was polled without success: it {_what(exc)}") from exc
        return progress_of(answer, secret=credential.secret)

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes, out of the account's bucket, where they stay."""
        del handle
        account = account_of(credential)
        bucket, key = place_of(output)
        source = self._calls.read_object(account, bucket, key, limit_bytes=self._limit_bytes)
        try:
            async with aclosing(source) as chunks:
                async for chunk in chunks:
                    yield chunk
        except AwsRefusedError as exc:
            raise why_not_fetched(exc.refusal, bucket=bucket, secret=credential.secret) from exc
        except (AwsSilentError, AwsUnsayableError) as exc:
            raise ProviderUnavailable(f"the download from S3 was cut short: it {_what(exc)}") from exc

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of an invocation whose ARN an operator found."""
        return {"version": HANDLE_VERSION, "arn": provider_video_id}

    async def close(self) -> None:
        """Give back the connections to AWS."""
        self._calls.close()


def _what(error: AwsSilentError | AwsUnsayableError) -> str:
    return error.what if isinstance(error, AwsSilentError) else "cannot be asked"
