"""One-time upload links: a client that holds one may send one file, without a key, for a quarter of an hour.

A link is signed and names the key that it was made with, so making one stores nothing. Only its use is stored, until it
would have expired anyway.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rushes.db.database import Database, Transaction
from rushes.errors import LinkRefused
from rushes.ids import ALPHABET, LENGTH, new_id
from rushes.media.links import LinkSigner, LinkState

PATH = "/uploads/"
LIFETIME_S = 900

_NAME = re.compile(rf"(key_[{ALPHABET}]{{{LENGTH}}})\.(link_[{ALPHABET}]{{{LENGTH}}})")

FORGET = "DELETE FROM used_upload_links WHERE expires_at <= :now"

USE = """
INSERT INTO used_upload_links (id, expires_at) VALUES (:id, :expires_at) ON CONFLICT (id) DO NOTHING
"""

RELEASE = "DELETE FROM used_upload_links WHERE id = :id"


@dataclass(frozen=True, slots=True)
class UploadLink:
    """A link whose signature was checked. `expires_at_s` is in seconds since 1970 UTC."""

    id: str
    key_id: str
    expires_at_s: int


class UploadLinks:
    """Makes, checks and uses up the links."""

    def __init__(self, database: Database, signer: LinkSigner) -> None:
        self._database = database
        self._signer = signer

    def make(self, key_id: str, now_ms: int) -> tuple[str, int]:
        """Path and query of a new link for this key, and when it expires, in milliseconds since 1970 UTC."""
        path = f"{PATH}{key_id}.{new_id('link')}"
        expires_at_s = now_ms // 1000 + LIFETIME_S
        return f"{path}?{self._signer.sign(path, expires_at_s)}", expires_at_s * 1000

    def check(self, name: str, expires: str | None, signature: str | None, now_ms: int) -> UploadLink:
        """The link behind the last part of its path and its query. Raises LinkRefused."""
        parts = _NAME.fullmatch(name)
        state = self._signer.verify(f"{PATH}{name}", expires, signature, now_ms / 1000)
        if parts is None or expires is None or state is LinkState.FORGED:
            raise LinkRefused("This upload link is not one of ours; ask for a new one with the tool upload_media")
        if state is LinkState.EXPIRED:
            raise LinkRefused("This upload link has expired; ask for a new one with the tool upload_media")
        return UploadLink(id=parts[2], key_id=parts[1], expires_at_s=int(expires))

    @asynccontextmanager
    async def used(self, link: UploadLink) -> AsyncIterator[None]:
        """Use the link up for what is done inside; it works again if that fails. Raises LinkRefused if it was used."""

        async def use(transaction: Transaction) -> bool:
            await transaction.execute(FORGET)
            return await transaction.execute(USE, id=link.id, expires_at=link.expires_at_s * 1000) == 1

        async def release(transaction: Transaction) -> None:
            await transaction.execute(RELEASE, id=link.id)

        if not await self._database.write(use):
            raise LinkRefused("This upload link was used before; ask for a new one with the tool upload_media")
        try:
            yield
        except BaseException:
            # Shielded: a caller that leaves in the middle of its file may send it again.
            await asyncio.shield(self._database.write(release))
            raise
