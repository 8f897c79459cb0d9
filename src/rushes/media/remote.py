"""Fetching an input file from where a caller says it is: guarded, and refused rather than waited for."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp

from rushes.errors import RefusedAddress, RefusedInput, UnusableInput
from rushes.net.client import HttpClient, Sink, TimeLimits

CHUNK_BYTES = 256 * 1024
MOST_REDIRECTS = 5
LIMITS = TimeLimits(connect_s=10, read_s=15, total_s=None)
"""The caller of `fetch` bounds the whole, so that redirects and a slow disk count too."""

_HEADERS = {"Accept": "image/*, video/*;q=0.9", "Accept-Encoding": "identity"}


async def fetch(http: HttpClient, url: str, field: str, account_id: str) -> AsyncGenerator[bytes, None]:
    """The file's bytes in chunks; the caller bounds its size, the time it takes and how many come at once.

    Raises RefusedInput for an address where we do not go, UnusableInput if the file cannot be had. Neither shows more
    of the URL than its host: the rest may hold a secret. Raises AccountBusy as `HttpClient` does.
    """
    try:
        host = http.check_url(url, Sink.INPUTS).host
        async with http.open_guarded(
            url,
            sink=Sink.INPUTS,
            account_id=account_id,
            headers=_HEADERS,
            limits=LIMITS,
            max_redirects=MOST_REDIRECTS,
        ) as response:
            if 300 <= response.status < 400:
                raise UnusableInput(f"{field}: '{host}' redirects more than {MOST_REDIRECTS} times", field)
            if response.status != 200:
                raise UnusableInput(f"{field}: '{host}' answered {response.status} instead of the file", field)
            # Compressed, a small answer could unfold to gigabytes in one step; we have asked for it not to be.
            if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                raise UnusableInput(f"{field}: '{host}' answered with a compressed file, which is not read", field)
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                yield chunk
    except RefusedAddress as exc:
        raise RefusedInput(f"{field}: {exc.message}", field) from exc
    except TimeoutError as exc:
        raise UnusableInput(f"{field}: '{host}' did not send the file in time", field) from exc
    except aiohttp.ClientPayloadError as exc:
        raise UnusableInput(f"{field}: '{host}' ended the file before it was whole", field) from exc
    except (aiohttp.ClientError, OSError) as exc:
        raise UnusableInput(f"{field}: '{host}' cannot be reached", field) from exc
