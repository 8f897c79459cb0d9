"""Taking in what a caller gives a model to work from: text, URL or upload becomes a file of ours that was looked into.

A file is stored once per account and content. Its key is random, not its hash: a file that is just being deleted can
then never be mistaken for one of the same content that is just arriving.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from rushes.domain.output import StoredVideo
from rushes.domain.request import InputMedia, MediaKind, Role
from rushes.domain.tenant import Tenant, account_of
from rushes.errors import (
    BodyTooLarge,
    FileExpired,
    MediaError,
    RushesError,
    UnusableInput,
)
from rushes.ids import ALPHABET, LENGTH, new_id
from rushes.media.decoder import Decoder
from rushes.media.encoded import decode, decode_data_url, is_data_url, malformed
from rushes.media.free_space import FreeSpace
from rushes.media.input_store import InputStore, OwnedInput, StoredInput, quota_reached
from rushes.media.output_store import LARGEST_VIDEO_BYTES
from rushes.media.remote import fetch
from rushes.media.sniff import AUDIO_TYPES, HEAD_BYTES, IMAGE_TYPES, VIDEO_TYPES, content_type_of, kind_of
from rushes.media.storage import Storage
from rushes.net.client import HttpClient
from rushes.shared_places import INPUT_CONNECTIONS, Holding, SharedPlace
from rushes.stored_places import INPUT_FILES

MIB = 1024**2
MOST_IMAGE_BYTES = 20 * MIB
MOST_VIDEO_BYTES = 256 * MIB
MOST_AUDIO_BYTES = 64 * MIB
MOST_UPLOAD_BYTES = 512 * MIB
KIND_OF_LIMIT = {MOST_IMAGE_BYTES: "an image", MOST_AUDIO_BYTES: "an audio file"}
UPLOAD_S = 3600
ARRIVAL_S = 2 * UPLOAD_S
"""A file that has not arrived by then never will: longer than any arrival is allowed to take."""

ALL_TYPES = (*IMAGE_TYPES, *VIDEO_TYPES, *AUDIO_TYPES)
TYPES_OF = {MediaKind.IMAGE: IMAGE_TYPES, MediaKind.VIDEO: VIDEO_TYPES, MediaKind.AUDIO: AUDIO_TYPES}

UPLOAD_PREFIX = "upload"
_REFERENCE = re.compile(rf"{UPLOAD_PREFIX}_[{ALPHABET}]{{{LENGTH}}}")
_LOOKS_LIKE_REFERENCE = re.compile(rf"{UPLOAD_PREFIX}_\w{{0,64}}")
_URL_HEAD_CHARS = 64


@dataclass(frozen=True, slots=True)
class GivenMedia:
    """One input as the caller gave it: base64, a data URL, an http(s) URL, or the reference of an upload."""

    role: Role
    field: str
    value: str = dataclasses.field(repr=False)

    def expected(self) -> InputMedia:
        """What stands for it while the request is checked, before its bytes cost anything."""
        return InputMedia(self.role, key="", content_type="", size_bytes=0, sha256="")


@dataclass(frozen=True, slots=True)
class Terms:
    """What is allowed: room per account, how long a file is kept that no job needs, and how long a URL may take."""

    quota_bytes: int = INPUT_FILES.share
    grace_s: float = 3600
    upload_s: float = 24 * 3600
    fetch_s: float = 30
    """How long fetching one URL may take in all, redirects included."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a file must be. `subject` begins our sentences about it; `field` is None for an upload."""

    subject: str
    field: str | None
    types: tuple[str, ...]
    most_video_bytes: int

    @property
    def is_audio(self) -> bool:
        """Whether nothing but audio is taken."""
        return self.types == AUDIO_TYPES

    def unusable(self, trouble: str) -> UnusableInput:
        return UnusableInput(f"{self.subject} {trouble}", self.field or "file")


class Inputs:
    """Every input file on its way in."""

    def __init__(
        self,
        store: InputStore,
        storage: Storage,
        http: HttpClient,
        decoder: Decoder,
        terms: Terms,
        connections: SharedPlace | None = None,
        free_space: FreeSpace | None = None,
    ) -> None:
        """`connections` is where accounts take turns to fetch files by URL."""
        self._free_space = free_space or FreeSpace(None)
        self._store = store
        self._storage = storage
        self._http = http
        self._decoder = decoder
        self._terms = terms
        self._connections = connections or SharedPlace(INPUT_CONNECTIONS)
        self._arriving_bytes: dict[str, int] = {}

    async def take(self, tenant: Tenant, given: Sequence[GivenMedia]) -> tuple[InputMedia, ...]:
        """Each input stored, decoded and ready to be named by a job, in the order given; all come in at once.

        Raises InvalidRequest for what cannot be read at all, UnusableInput for what is not what its field takes,
        RefusedInput for a URL where we do not go, InputQuotaReached, AccountBusy if too much of the account's waits.
        """
        if not given:
            return ()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._take_one(tenant, item)) for item in given]
        except ExceptionGroup as errors:
            # Not `except*`: what is raised in there comes out as a group again on Python before 3.11.4.
            first: Exception = errors
            while isinstance(first, ExceptionGroup):
                first = first.exceptions[0]
            raise first from None
        return tuple(task.result() for task in tasks)

    async def upload(self, tenant: Tenant, chunks: AsyncGenerator[bytes, None], size_bytes: int | None) -> StoredInput:
        """Store a file to be referred to later; `size_bytes` if it is known beforehand.

        Raises BodyTooLarge, UnusableInput, InputQuotaReached and whatever `chunks` raises; nothing is left then.
        """
        if size_bytes is not None and size_bytes > MOST_UPLOAD_BYTES:
            raise _upload_too_large()
        if (
            size_bytes is not None
            and await self._store.total_bytes(account_of(tenant)) + size_bytes > self._terms.quota_bytes
        ):
            raise quota_reached(self._terms.quota_bytes)
        await self._free_space.check(size_bytes or 0)
        wanted = _Wanted("The file", None, ALL_TYPES, MOST_UPLOAD_BYTES)
        return await self._keep(tenant, chunks, wanted, keep_s=self._terms.upload_s, within_s=UPLOAD_S)

    async def upload_from(self, tenant: Tenant, url: str, field: str) -> StoredInput:
        """Fetch a file from an http(s) URL and store it to be referred to later.

        Raises RefusedInput for an address where we do not go, UnusableInput naming `field`, InputQuotaReached.
        """
        wanted = _Wanted(f"{field}: the file", field, ALL_TYPES, MOST_VIDEO_BYTES)
        chunks = fetch(self._http, url, field, account_of(tenant))
        return await self._keep(tenant, chunks, wanted, keep_s=self._terms.upload_s, within_s=self._terms.fetch_s)

    async def copy(self, tenant: Tenant, video: StoredVideo, role: Role) -> InputMedia:
        """A finished video of ours as an input file, kept for as long as a job needs it.

        Raises FileExpired if its bytes are gone, UnusableInput if it cannot be decoded, InputQuotaReached.
        """
        wanted = _Wanted(f"{role.field}: the video", role.field, VIDEO_TYPES, LARGEST_VIDEO_BYTES)
        chunks = self._bytes_of(video)
        stored = await self._keep(tenant, chunks, wanted, keep_s=self._terms.grace_s, within_s=UPLOAD_S)
        return stored.media(role)

    async def _bytes_of(self, video: StoredVideo) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(self._storage.open(video.key)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except FileNotFoundError:
            raise FileExpired("The video of the previous job is no longer kept") from None

    async def receive(self, tenant: Tenant, chunks: AsyncGenerator[bytes, None], field: str) -> StoredInput:
        """Store a file that came as `field` of a request; it waits for that request's job as every input does.

        Raises UnusableInput naming `field`, InputQuotaReached and whatever `chunks` raises; nothing is left then.
        """
        wanted = _Wanted(f"{field}: the file", field, ALL_TYPES, MOST_VIDEO_BYTES)
        return await self._keep(tenant, chunks, wanted, keep_s=self._terms.grace_s, within_s=UPLOAD_S)

    async def find_by_link(self, input_id: str) -> OwnedInput | None:
        """The file behind a link whose signature was checked; None if it is no longer kept."""
        return await self._store.find_any(input_id)

    async def read(self, media: InputMedia) -> bytes:
        """The bytes of an input, as a provider is sent them.

        Raises StorageUnavailable if they cannot be read now, MediaError if they are gone.
        """
        # It gives its buffer away as it is; joining chunks would hold a large video twice.
        content = io.BytesIO()
        try:
            async with aclosing(self._storage.open(media.key)) as chunks:
                async for chunk in chunks:
                    content.write(chunk)
        except FileNotFoundError as exc:
            raise MediaError(f"The file given as {media.role} is no longer in our storage") from exc
        return content.getvalue()

    async def _take_one(self, tenant: Tenant, item: GivenMedia) -> InputMedia:
        types = TYPES_OF[item.role.kind]
        name, value = item.field, item.value
        if _LOOKS_LIKE_REFERENCE.fullmatch(value[: _URL_HEAD_CHARS * 2]):
            return (await self._refer(tenant, name, value, types)).media(item.role)
        if is_data_url(value):
            chunks, within_s = decode_data_url(value, name), None
        elif ":" in value[:_URL_HEAD_CHARS]:
            # Base64 has no colon, so this is a URL of some scheme; the guard says which are taken.
            chunks, within_s = fetch(self._http, value, name, account_of(tenant)), self._terms.fetch_s
        elif value:
            chunks, within_s = decode(value, name), None
        else:
            raise malformed(name, "is empty; leave it out or give a file")
        wanted = _Wanted(f"{name}: the file", name, types, MOST_VIDEO_BYTES)
        # A turn comes before the time that the other side has.
        turn = None if within_s is None else await self._connections.wait(account_of(tenant))
        try:
            stored = await self._keep(tenant, chunks, wanted, keep_s=self._terms.grace_s, within_s=within_s, turn=turn)
        finally:
            if turn is not None:
                turn.release()
        return stored.media(item.role)

    async def _refer(self, tenant: Tenant, name: str, reference: str, types: Sequence[str]) -> StoredInput:
        stored = None
        if _REFERENCE.fullmatch(reference):
            stored = await self._store.use(tenant, reference, keep_s=self._terms.grace_s)
        if stored is None:
            raise UnusableInput(f"{name}: there is no upload '{reference}', or it has expired", name)
        if stored.content_type not in types:
            raise UnusableInput(f"{name}: the upload '{reference}' is {stored.content_type}, {_takes(types)}", name)
        return stored

    async def _keep(
        self,
        tenant: Tenant,
        chunks: AsyncGenerator[bytes, None],
        wanted: _Wanted,
        *,
        keep_s: float,
        within_s: float | None,
        turn: Holding | None = None,
    ) -> StoredInput:
        """`turn` is given back once the file is here: decoding has turns of its own."""
        await self._free_space.check()
        input_id = new_id(UPLOAD_PREFIX)
        key = f"inputs/{account_of(tenant)}/{input_id}"
        await self._store.announce(input_id, tenant, key, keep_s=ARRIVAL_S)
        settled: StoredInput | None = None
        try:
            async with (
                asyncio.timeout(within_s),
                aclosing(chunks),
                aclosing(self._metered(tenant, chunks)) as metered,
                aclosing(_checked(metered, wanted)) as checked,
            ):
                file = await self._storage.put(key, checked, max_bytes=wanted.most_video_bytes)
            if turn is not None:
                turn.release()
            settled = await self._store.use_same(tenant, file.sha256, keep_s=keep_s)
            if settled is not None and settled.content_type not in wanted.types:
                raise wanted.unusable(f"is {settled.content_type}, {_takes(wanted.types)}")
            if settled is None:
                facts = await self._decoder.inspect(key, wanted.subject, account_of(tenant), as_audio=wanted.is_audio)
                settled = await self._store.settle(
                    input_id, tenant, file, facts, keep_s=keep_s, quota_bytes=self._terms.quota_bytes
                )
        except TimeoutError as exc:
            raise wanted.unusable(f"was not received within {within_s} s") from exc
        except UnusableInput as exc:
            raise type(exc)(exc.message, wanted.field or "file") from exc
        finally:
            if settled is None or settled.id != input_id:
                await asyncio.shield(self._discard(input_id, key))
        return settled

    async def _discard(self, input_id: str, key: str) -> None:
        # What cannot be removed now has its row, and the cleaner finds it there.
        with contextlib.suppress(RushesError):
            await self._storage.delete(key)
            await self._store.forget(input_id)

    async def _metered(self, tenant: Tenant, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The chunks, as long as the account has room for them beside all else that is arriving for it."""
        account_id = account_of(tenant)
        stored_bytes = await self._store.total_bytes(account_id)
        ours = 0
        try:
            async for chunk in chunks:
                ours += len(chunk)
                arriving = self._arriving_bytes.get(account_id, 0) + len(chunk)
                self._arriving_bytes[account_id] = arriving
                if stored_bytes + arriving > self._terms.quota_bytes:
                    raise quota_reached(self._terms.quota_bytes)
                yield chunk
        finally:
            left = self._arriving_bytes.get(account_id, 0) - ours
            self._arriving_bytes[account_id] = left
            if left <= 0:
                del self._arriving_bytes[account_id]


async def _checked(chunks: AsyncGenerator[bytes, None], wanted: _Wanted) -> AsyncGenerator[bytes, None]:
    """The chunks, refused as soon as they show that they are not what is wanted, or too many."""
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    most_bytes = _most_bytes(head, wanted)
    size_bytes = len(head)
    yield head
    del head
    async for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > most_bytes:
            if wanted.field is None and most_bytes == MOST_UPLOAD_BYTES:
                raise _upload_too_large()
            kind = KIND_OF_LIMIT.get(most_bytes, "a video")
            raise wanted.unusable(f"is larger than the {most_bytes // MIB} MiB that {kind} may have here")
        yield chunk


def _most_bytes(head: bytes, wanted: _Wanted) -> int:
    content_type = content_type_of(head)
    # Several programs write M4A under the brand of a video: the decoder tells them apart.
    is_taken = content_type in wanted.types or (wanted.is_audio and content_type in VIDEO_TYPES)
    if not is_taken:
        raise wanted.unusable(f"is {kind_of(head)}, {_takes(wanted.types)}")
    if wanted.is_audio or content_type in AUDIO_TYPES:
        return MOST_AUDIO_BYTES
    return MOST_IMAGE_BYTES if content_type in IMAGE_TYPES else wanted.most_video_bytes


def _takes(types: Sequence[str]) -> str:
    return f"and this must be one of {', '.join(types)}"


def _upload_too_large() -> BodyTooLarge:
    return BodyTooLarge(f"The file is larger than the {MOST_UPLOAD_BYTES // MIB} MiB that an upload may have")
