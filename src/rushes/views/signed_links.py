"""Links to videos and input files that work without a header: signed, expiring, made afresh on each read."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import URL
from starlette.requests import HTTPConnection

from rushes.clock import Clock
from rushes.domain.job import Job
from rushes.domain.request import InputMedia
from rushes.media.links import LinkSigner, LinkState
from rushes.media.sniff import extension_of

LONGEST_KEPT_HOST = 255
INPUT_LINK_S = 900
"""How long a link to an input file works: a guardrail has time to fetch what it judges."""


class Links:
    """Makes and checks the links. Without a public URL they carry the host that the request was sent to, or where there
    is no request `own_url`, the address that the service listens on.
    """

    def __init__(
        self, signer: LinkSigner, clock: Clock, *, ttl_s: int, public_url: str | None, own_url: str = ""
    ) -> None:
        self._signer = signer
        self._clock = clock
        self._ttl_s = ttl_s
        self._public_url = None if public_url is None else public_url.rstrip("/")
        self._own_url = own_url

    @property
    def path_prefix(self) -> str:
        """The path of the public URL, which a proxy removes before it calls us; empty without a public URL."""
        return "" if self._public_url is None else urlsplit(self._public_url).path

    def expires_at_ms(self) -> int:
        """When a link made now stops working; rounded so that reads of one moment give the same link."""
        return (self._clock.now_ms() // 1000 + self._ttl_s) * 1000

    def base(self, connection: HTTPConnection | None) -> str:
        """What all links of one answer begin with."""
        return self._public_url or (self._own_url if connection is None else _asked_at(connection))

    def to_video(self, base: str, job: Job, index: int, expires_at_ms: int) -> str:
        """The link to a job's video."""
        extension = extension_of(job.outputs[index].content_type)
        return self._link(base, f"/media/{job.id}/{index}{extension}", expires_at_ms)

    def to_poster(self, base: str, job: Job, index: int, expires_at_ms: int) -> str:
        """The link to a video's poster frame."""
        return self._link(base, f"/media/{job.id}/{index}.jpg", expires_at_ms)

    def to_input(self, media: InputMedia) -> str | None:
        """The link to an input file that is stored; None where neither a public URL nor an address of ours is known.

        It never carries the host that the request was sent to: its caller would choose where the reader goes.
        """
        base = self.base(None)
        expires_at_ms = (self._clock.now_ms() // 1000 + INPUT_LINK_S) * 1000
        return self._link(base, f"/media/inputs/{media.key.rpartition('/')[2]}", expires_at_ms) if base else None

    def _link(self, base: str, path: str, expires_at_ms: int) -> str:
        return f"{base}{path}?{self._signer.sign(path, expires_at_ms // 1000)}"

    def check(self, path: str, expires: str | None, signature: str | None) -> LinkState:
        """What a link that came back is worth."""
        return self._signer.verify(path, expires, signature, self._clock.now_ms() / 1000)

    def left_s(self, expires: str | None) -> int:
        """How long a link that was checked goes on working."""
        return 0 if expires is None else int(expires) - self._clock.now_ms() // 1000


def _asked_at(connection: HTTPConnection) -> str:
    """Where the request was sent to, with the path that a proxy serves us under, as the framework sees it."""
    scope = connection.scope
    host = None
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
            break
    base = _base if host is None or len(host) <= LONGEST_KEPT_HOST else _base.__wrapped__
    root_path = scope.get("app_root_path", scope.get("root_path", ""))
    return base(scope.get("scheme", "http"), host, scope.get("server"), root_path)


# Callers send few hosts, and taking one apart costs more than a signature.
@lru_cache(64)
def _base(scheme: str, host: bytes | None, server: tuple[str, int | None] | None, root_path: str) -> str:
    headers = [] if host is None else [(b"host", host)]
    asked = {"scheme": scheme, "headers": headers, "server": server, "path": f"{root_path}/"}
    return str(URL(scope=asked)).rstrip("/")
