"""Where boto3 is for our own storage: calls to one bucket in threads, and its exceptions turned into ours.

boto3 is loaded by the first call, so that who keeps files on a disk does not pay for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from rushes.errors import StorageRefused, StorageUnavailable
from rushes.threads import Threads

T = TypeVar("T")

READING_THREADS: Final = 16
WRITING_THREADS: Final = 8
"""Of their own, so that a hundred viewers do not keep a paid video from being stored."""
TRIES: Final = 4
CONNECT_S: Final = 5
SILENCE_S: Final = 30
"""How long one read or write on a connection may last."""

MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
BEYOND_THE_END: Final = frozenset({"InvalidRange", "416"})
_WRONG_KEYS: Final = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "InvalidClientTokenId",
        "AuthFailure",
        "MissingAuthenticationToken",
        "401",
    }
)
_WRONG_REGION: Final = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "301", "IllegalLocationConstraintException"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket, the folder in it that is ours, and the way there. Without keys boto3 looks where AWS's tools do."""

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    public_endpoint_url: str | None = None
    """Where clients reach the same bucket, if not at `endpoint_url`."""
    region: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    path_style: bool | None = None
    """Whether the bucket stands in the path instead of the host; None: with an endpoint of one's own."""


class RefusedCallError(Exception):
    """The endpoint answered a call with an error; `code` is S3's word for it."""

    def __init__(self, code: str, trouble: StorageUnavailable) -> None:
        super().__init__(code)
        self.code = code
        self.trouble = trouble


class Bucket:
    """Calls about one bucket, each repeated a few times with growing pauses where that can help."""

    def __init__(self, place: Place, *, tries: int = TRIES, silence_s: float = SILENCE_S) -> None:
        self.place = place
        self._tries = tries
        self._silence_s = silence_s
        self._reading = Threads(READING_THREADS)
        self._writing = Threads(WRITING_THREADS)
        self._lock = threading.Lock()
        self._client: Any = None
        self._public_client: Any = None

    async def ask(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """One call that reads. Raises RefusedCallError, StorageUnavailable."""
        return await self._run(self._reading, partial(self._call, operation, arguments))

    async def tell(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """One call that writes. Raises RefusedCallError, StorageUnavailable."""
        return await self._run(self._writing, partial(self._call, operation, arguments))

    async def read(self, body: Any, most_bytes: int) -> bytes:
        """More of an answer's body; empty at its end, which is where its length says. Raises StorageUnavailable."""
        return await self._run(self._reading, partial(body.read, most_bytes))

    def close_body(self, body: Any) -> None:
        """Let an answer go. In a thread, for it waits while a read that was given up is still under way."""
        self._reading.start(body.close)

    async def sign(self, ttl_s: int, **arguments: object) -> str:
        """A URL that lets any client get one object for `ttl_s`. Raises StorageUnavailable."""

        def sign() -> str:
            self._connect()
            return str(
                self._public_client.generate_presigned_url(
                    "get_object", Params={"Bucket": self.place.bucket, **arguments}, ExpiresIn=ttl_s
                )
            )

        return await self._run(self._reading, sign)

    def close(self) -> None:
        """Give back the connections; a call under way ends by its time limit, or with the process."""
        with self._lock:
            for client in {self._client, self._public_client} - {None}:
                client.close()
            self._client = self._public_client = None

    async def _run(self, threads: Threads, function: Callable[[], T]) -> T:
        def call() -> T:
            with _as_our_own():
                return function()

        return await threads.run(call)

    def _call(self, operation: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = getattr(self._connect(), operation)(Bucket=self.place.bucket, **arguments)
        return answer

    def _connect(self) -> Any:
        # Under the lock because sessions are not made for threads; clients are.
        with self._lock:
            if self._client is None:
                import boto3  # type: ignore[import-untyped]

                for library in ("boto3", "botocore", "urllib3"):
                    # At the level DEBUG they write down headers, session tokens among them; at WARNING urllib3
                    # reports each connection beyond those that it keeps.
                    logging.getLogger(library).setLevel(logging.ERROR)
                place, session = self.place, boto3.Session()
                public_endpoint_url = place.public_endpoint_url
                client = self._new_client(session, place.endpoint_url)
                self._public_client = (
                    client if public_endpoint_url is None else self._new_client(session, public_endpoint_url)
                )
                self._client = client
            return self._client

    def _new_client(self, session: Any, endpoint_url: str | None) -> Any:
        from botocore.config import Config  # type: ignore[import-untyped]

        place = self.place
        path_style = endpoint_url is not None if place.path_style is None else place.path_style
        try:
            return session.client(
                "s3",
                # Signing needs some region, and most servers of one's own do not care which.
                region_name=place.region or session.region_name or "us-east-1",
                endpoint_url=endpoint_url,
                aws_access_key_id=place.access_key_id,
                aws_secret_access_key=place.secret_access_key,
                config=Config(
                    signature_version="s3v4",
                    retries={"mode": "standard", "total_max_attempts": self._tries},
                    connect_timeout=CONNECT_S,
                    read_timeout=self._silence_s,
                    max_pool_connections=READING_THREADS + WRITING_THREADS,
                    # The SHA-256 of each body is part of what is signed, so every server checks what arrives; the
                    # newer checksums in trailers say no more, and not every server knows them.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3={"addressing_style": "path" if path_style else "virtual", "payload_signing_enabled": True},
                ),
            )
        except ValueError:
            raise StorageRefused("The media storage's endpoint is not a URL that can be used") from None


@contextmanager
def _as_our_own() -> Iterator[None]:
    """Turn boto3's exceptions into ours, without their cause or text: these can show keys and signatures.

    What we say reaches callers too, so it names no bucket and no address.
    """
    from botocore import exceptions as boto  # type: ignore[import-untyped]
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]
    from urllib3.exceptions import HTTPError

    try:
        yield
    except boto.ClientError as exc:
        error, metadata = exc.response.get("Error", {}), exc.response.get("ResponseMetadata", {})
        code, status = str(error.get("Code") or ""), int(metadata.get("HTTPStatusCode") or 0)
        raise RefusedCallError(code, _trouble(code, status)) from None
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError):
        raise StorageRefused(
            "The media storage cannot be used without keys: set RUSHES_STORAGE_ACCESS_KEY_ID and "
            "RUSHES_STORAGE_SECRET_ACCESS_KEY, or give them where AWS's own tools look for them"
        ) from None
    except (boto.ParamValidationError, boto.InvalidRegionError, boto.ProfileNotFound):
        raise StorageRefused(
            "The media storage cannot be asked: its name, region, endpoint or profile is malformed"
        ) from None
    except boto.SSLError:
        raise StorageUnavailable("The media storage has a TLS certificate that is not trusted") from None
    except (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError):
        raise StorageUnavailable("The media storage cannot be reached") from None
    except boto.ReadTimeoutError:
        raise StorageUnavailable("The media storage did not answer in time") from None
    except ResponseParserError:
        raise StorageUnavailable("The media storage answered with something that cannot be read") from None
    except (boto.BotoCoreError, HTTPError, OSError):
        raise StorageUnavailable("The media storage broke the connection off") from None


def _trouble(code: str, status: int) -> StorageUnavailable:
    word = code if code.isascii() and code.isalnum() else "unknown error"
    if code == "NoSuchBucket":
        return StorageRefused("The media storage has no such bucket")
    if code in _WRONG_KEYS:
        return StorageRefused(f"The media storage does not accept our keys ({word})")
    if code in _WRONG_REGION or status in (301, 307):
        return StorageRefused(f"The media storage is in another region ({word}); set RUSHES_STORAGE_REGION")
    if code in ("AccessDenied", "AllAccessDisabled") or status == 403:
        return StorageRefused(
            f"The media storage denies us what we need to do ({word}); see the policy in docs/operating/storage.md"
        )
    if code in ("SlowDown", "ServiceUnavailable", "Throttling") or status in (429, 503):
        return StorageUnavailable("The media storage is too busy")
    return StorageUnavailable(f"The media storage answered '{word}' ({status})")
