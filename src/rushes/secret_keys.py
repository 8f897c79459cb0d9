"""The secret keys of the service: the first one signs and encrypts, all of them verify and decrypt.

A key of its own is derived for each purpose.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rushes.errors import StartupError

SETTING = "RUSHES_SECRET_KEYS"
LEAST_CHARACTERS = 32
LEAST_DISTINCT = 8
"""A random key of 32 hexadecimal digits has fewer different ones once in twenty million keys."""
ID_BYTES = 4

_GRAMMAR = "printable ASCII without spaces and commas"
_KEY = re.compile(r"[!-+\--~]+")


class SecretKeys:
    """One or more master keys, newest first. Only keys derived from them leave this object."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("There must be at least one secret key.")
        self._keys = tuple(keys)

    def derive(self, purpose: str) -> tuple[bytes, ...]:
        """32 bytes for `purpose` from each master key, in the same order (HKDF-SHA256)."""
        # Imported here, because this import takes longer than all others of a short command.
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        info = b"rushes:" + purpose.encode()
        return tuple(HKDF(SHA256(), 32, salt=None, info=info).derive(key) for key in self._keys)

    @property
    def ids(self) -> tuple[str, ...]:
        """A short name of each key, in the same order. It says nothing of the key, and is the same everywhere."""
        return tuple(derived[:ID_BYTES].hex() for derived in self.derive("id"))

    def __repr__(self) -> str:
        return f"<SecretKeys: {len(self._keys)}, not shown>"


def parse(text: str) -> SecretKeys:
    """The keys in the value of RUSHES_SECRET_KEYS, separated by commas or line breaks.

    Raises StartupError, which never shows the value.
    """
    return _read(text, SETTING)


def load_or_create(path: Path) -> SecretKeys:
    """The keys in a file, one a line. If it is missing, it is created with a random key, for its owner alone.

    Processes that start at the same time agree on one key. A line can be copied to RUSHES_SECRET_KEYS unchanged.
    Raises StartupError if the file is malformed, or if it cannot be read or created.
    """
    try:
        if not path.exists():
            _create(path)
        text = path.read_text("ascii")
    except UnicodeDecodeError as error:
        raise StartupError(f"The key file {str(path)!r} does not hold keys; restore it from a backup.") from error
    except OSError as error:
        raise StartupError(
            f"The key file {str(path)!r} cannot be read or created ({error.strerror}); "
            f"make its directory writable or set {SETTING}."
        ) from error
    return _read(text, f"The key file {str(path)!r}")


def _create(path: Path) -> None:
    """Write under another name, then link: the link fails if the file exists, and no process can read half a key."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first, so its key is used
            os.link(draft, path)
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(text: str, source: str) -> SecretKeys:
    keys = [key for part in re.split(r"[,\r\n]", text) if (key := part.strip())]
    if not keys:
        raise StartupError(f"{source} holds no key; it needs one of at least {LEAST_CHARACTERS} characters.")
    for number, key in enumerate(keys, start=1):
        if len(key) < LEAST_CHARACTERS:
            raise StartupError(
                f"{source}: key {number} is shorter than {LEAST_CHARACTERS} characters; use `openssl rand -hex 32`."
            )
        if _is_weak(key):
            raise StartupError(f"{source}: key {number} repeats itself and can be guessed; use `openssl rand -hex 32`.")
        if not _KEY.fullmatch(key):
            raise StartupError(f"{source}: key {number} may hold only {_GRAMMAR}.")
    return SecretKeys([key.encode("ascii") for key in keys])


def _is_weak(key: str) -> bool:
    """Whether the key has few different characters, or is a short text again and again."""
    return len(set(key)) < LEAST_DISTINCT or any(
        key == (key[:length] * len(key))[: len(key)] for length in range(1, LEAST_CHARACTERS // 2)
    )
