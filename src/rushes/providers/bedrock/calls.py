"""Where boto3 is: its calls in threads, its clients kept per account, its exceptions turned into ours.

boto3 is loaded by the first call, so that who has no AWS account does not pay for it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from rushes.clock import Clock, SystemClock
from rushes.errors import OutputInvalid
from rushes.net.retry_after import retry_after_s
from rushes.providers.bedrock.account import Account
from rushes.providers.bedrock.reply import Refusal
from rushes.providers.failure import LONGEST_RETRY_AFTER_S
from rushes.providers.http import CHUNK_BYTES, CallLimits
from rushes.threads import Threads

T = TypeVar("T")

THREADS: Final = 8
MOST_CLIENTS: Final = 32
BEDROCK: Final = "bedrock-runtime"
S3: Final = "s3"


class AwsRefusedError(Exception):
    """AWS answered with an error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal


class AwsSilentError(Exception):
    """There is no answer, or none that can be read; `sent` is False if nothing was sent, None if that is not known."""

    def __init__(self, what: str, *, sent: bool | None) -> None:
        super().__init__(what)
        self.what = what
        self.sent = sent


class AwsUnreadableError(AwsSilentError):
    """There is an answer, but not one that boto3 can read."""


class AwsUnsayableError(Exception):
    """boto3 cannot send this."""


UNREADABLE: Final = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError)
"""What botocore's parsers raise over a document that is not of the shape that they trust it to have."""


@dataclass(frozen=True, slots=True)
class Line:
    """A client of boto3, and the session that sends for it."""

    client: Any
    http: Any

    def close(self) -> None:
        """Give back the connections."""
        self.client.close()
        self.http.close()


class AwsCalls:
    """Calls to bedrock-runtime and S3, each made once: the caller decides about another try."""

    def __init__(
        self,
        base_url: str | None = None,
        storage_url: str | None = None,
        *,
        limits: CallLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._endpoints = {BEDROCK: base_url, S3: storage_url}
        limits = limits or CallLimits()
        self._limits = {BEDROCK: limits.submit, S3: limits.download}
        self._clock = clock or SystemClock()
        self._threads = Threads(THREADS)
        self._lines: OrderedDict[tuple[Account, str], Line] = OrderedDict()
        self._session: Any = None
        self._lock = threading.Lock()

    async def bedrock(self, account: Account, operation: str, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """What bedrock-runtime answers. Raises AwsRefusedError, AwsSilentError or AwsUnsayableError."""
        answer = await self._in_thread(partial(self._call, account, BEDROCK, operation, arguments))
        return answer if isinstance(answer, dict) else {}

    async def read_object(
        self, account: Account, bucket: str, key: str, *, limit_bytes: int
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of an S3 object. Raises OutputInvalid for one beyond the limit, else as `bedrock` does."""
        arguments = {"Bucket": bucket, "Key": key}
        answer = await self._in_thread(partial(self._call, account, S3, "get_object", arguments))
        body = answer["Body"]
        try:
            received = 0
            expected = answer.get("ContentLength")
            if isinstance(expected, int) and expected > limit_bytes:
                raise _too_large(limit_bytes)
            while chunk := await self._in_thread(partial(body.read, CHUNK_BYTES)):
                received += len(chunk)
                if received > limit_bytes:
                    raise _too_large(limit_bytes)
                yield chunk
            if received == 0:
                raise AwsSilentError("gave an empty result", sent=None)
        finally:
            # In a thread as well, for it waits while a read that was given up is still under way.
            self._threads.start(body.close)

    def close(self) -> None:
        """Give back the connections; a call under way ends by its time limit, or with the process."""
        with self._lock:
            lines = list(self._lines.values())
            self._lines.clear()
        for line in lines:
            line.close()

    async def _in_thread(self, function: Callable[[], T]) -> T:
        def call() -> T:
            with _as_our_own(self._clock):
                return function()

        return await self._threads.run(call)

    def _call(self, account: Account, service: str, operation: str, arguments: Mapping[str, object]) -> Any:
        call = getattr(self._line(account, service).client, operation)
        try:
            return call(**arguments)
        except UNREADABLE:
            raise AwsUnreadableError("answered with something that cannot be read", sent=None) from None

    def _line(self, account: Account, service: str) -> Line:
        # Under the lock because sessions are not made for threads; clients are.
        with self._lock:
            line = self._lines.pop((account, service), None)
            if line is None:
                line = self._new_line(account, service)
            self._lines[account, service] = line
            if len(self._lines) > MOST_CLIENTS:
                self._lines.popitem(last=False)[1].close()
            return line

    def _new_line(self, account: Account, service: str) -> Line:
        from botocore.config import Config  # type: ignore[import-untyped]

        from rushes.providers.bedrock.bounded import BoundedSession

        if self._session is None:
            # One for all accounts, because it holds the descriptions of both services.
            self._session = _session()
        endpoint, limits = self._endpoints[service], self._limits[service]
        client = self._session.client(
            service,
            region_name=account.region,
            aws_access_key_id=account.access_key_id,
            aws_secret_access_key=account.secret_access_key,
            aws_session_token=account.session_token,
            endpoint_url=endpoint,
            config=Config(
                # Said here, or AWS_BEARER_TOKEN_BEDROCK and AWS_ENDPOINT_URL would win over what the account says.
                signature_version="v4" if service == BEDROCK else "s3v4",
                ignore_configured_endpoint_urls=True,
                proxies={},
                retries={"total_max_attempts": 1},
                connect_timeout=limits.connect_s,
                read_timeout=limits.read_s,
                max_pool_connections=THREADS,
                s3={"addressing_style": "auto" if endpoint is None else "path"},
            ),
        )
        http = BoundedSession(
            limits,
            verify=self._session._session.get_config_variable("ca_bundle") or True,  # noqa: SLF001
            connections=THREADS,
        )
        client.meta.events.register("before-send", http.send)
        return Line(client, http)


def _session() -> Any:
    """A session of boto3 that knows none of the machine's own profiles: they can name commands to run."""
    import boto3  # type: ignore[import-untyped]
    from botocore.session import Session  # type: ignore[import-untyped]

    for library in ("boto3", "botocore", "urllib3"):
        # At the level DEBUG they write down headers and bodies, session tokens and pictures among them.
        logging.getLogger(library).setLevel(logging.WARNING)
    no_files = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.Session(botocore_session=Session(session_vars=no_files))


@contextmanager
def _as_our_own(clock: Clock) -> Iterator[None]:
    """Turn boto3's exceptions into ours, without their cause: it holds the request, and so a session token."""
    from botocore import exceptions as boto  # type: ignore[import-untyped]
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]
    from urllib3.exceptions import HTTPError

    from rushes.providers.bedrock.bounded import ReplyTooLongError

    try:
        yield
    except boto.ClientError as exc:
        raise AwsRefusedError(_refusal(exc.response, clock.now_ms())) from None
    except (boto.EndpointConnectionError, boto.ConnectTimeoutError):
        raise AwsSilentError("cannot be reached", sent=False) from None
    except (boto.ParamValidationError, boto.InvalidRegionError) as exc:
        raise AwsUnsayableError(str(exc)[:500]) from None
    except boto.ReadTimeoutError:
        raise AwsSilentError("did not answer in time", sent=None) from None
    except ReplyTooLongError:
        raise AwsUnreadableError("answered with more than we read, or too slowly", sent=None) from None
    except ResponseParserError:
        raise AwsUnreadableError("answered with something that cannot be read", sent=None) from None
    except (boto.BotoCoreError, HTTPError, OSError):
        raise AwsSilentError("broke off", sent=None) from None


def _too_large(limit_bytes: int) -> OutputInvalid:
    return OutputInvalid(f"the result in S3 is larger than {limit_bytes} bytes, the most that is stored")


def _refusal(response: Mapping[str, Any], now_ms: int) -> Refusal:
    error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    headers = metadata.get("HTTPHeaders", {})
    # The header may go on with the address of a page: `ValidationException:http://...`.
    name = str(error.get("Code") or "").split(":")[0].rpartition("#")[2]
    return Refusal(
        name=name,
        message=str(error.get("Message") or ""),
        status=int(metadata.get("HTTPStatusCode") or 0),
        retry_after_s=retry_after_s(headers.get("retry-after"), now_ms=now_ms, longest_s=LONGEST_RETRY_AFTER_S),
    )
